"""What computes an answer. An engine is opened for one version of one task and closed when nobody names it any more.

engine      the boundary between the gateway and a model
opening     from what a promotion names to an engine that can answer
in_process  a published bundle of any family, answering in this process in batches
upstream    any OpenAI-compatible endpoint that chooses a label: the big incumbent
"""

from serving.engines.engine import Answer, Engine, EngineFailed
from serving.engines.opening import Opener, warm

__all__ = ["Answer", "Engine", "EngineFailed", "Opener", "warm"]

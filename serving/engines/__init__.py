"""What computes an answer. An engine is opened for one version of one task and closed when nobody names it any more."""

from serving.engines.engine import Answer, Engine, EngineFailed
from serving.engines.opening import Opener, warm

__all__ = ["Answer", "Engine", "EngineFailed", "Opener", "warm"]

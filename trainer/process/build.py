"""`python -m trainer.process.build job.json [--store]`: the data set that a job would get now, and nothing else.

Standard output and input as of `python -m trainer`. <work>/result.json: dataset, task, counts, exclusions, funnel, and
in `missing` what is too little to train on. --store: into the warehouse as well. Texts are written nowhere.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from headrace.contract import job_file as jobs
from headrace.errors import HeadraceError
from trainer.process import lifecycle
from trainer.progress import on_stdout


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0, or BAD_JOB with one sentence on standard error."""
    lifecycle.die_with_parent()
    try:
        build(Path(arguments[0]), store="--store" in arguments[1:])
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return jobs.Exit.BAD_JOB
    except ModuleNotFoundError as error:
        print(f"the trainer needs {error.name}; pip install 'headrace[training]'", file=sys.stderr)
        return jobs.Exit.BAD_JOB
    return 0


def build(path: Path, *, store: bool) -> None:
    """Curate as the job file says. Raises HeadraceError."""
    from headrace.warehouse import Warehouse
    from trainer.curate.funnel import shortfall
    from trainer.process.rows import chosen_rows

    job = jobs.read(path)
    settings = jobs.settings_of(job)
    warehouse = Warehouse.connect(settings)
    try:
        dataset = chosen_rows(job, warehouse, settings, on_stdout())
        if store:
            dataset.store(warehouse, job.of_attempt)
    finally:
        warehouse.close()
    counts = Counter((row.split, row.label, row.source) for row in dataset.curated.rows)
    found = {
        "dataset": dataset.digest,
        "task": job.task,
        "counts": [
            {"split": split, "label": label, "source": source, "rows": rows}
            for (split, label, source), rows in sorted(counts.items())
        ],
        "exclusions": dataset.curated.exclusions,
        "funnel": dataset.curated.funnel,
        "missing": shortfall(dataset.curated, job.of_task.curation)[1],
    }
    jobs.write_json(job.work / jobs.RESULT, found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command line: `headrace --help`.

`commands` puts it together, a module a topic: `stack` (up, down, status), `contract` (schema, plan, emit), `ask` (sql,
reconcile), `letters` (dead letters), `loop` (trigger, rollback, jobs, why), `keys`, `acls`, `doctor`, `backup`;
`caller` says who may run them. Each command imports what it needs when it runs, so that help is quick.
"""

from headrace.cli.commands import app

__all__ = ["app"]

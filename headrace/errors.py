"""Every error headrace raises on purpose.

HeadraceError
├── UserError           something a person can mend; its text is one sentence: what, where, what to do
│   ├── SettingsError   an environment variable or an address is unusable
│   ├── PlanError       flywheel.toml: names the line, the key and what is allowed
│   ├── EventError      an event is malformed: names the field
│   ├── ArtifactError   an artifact is missing, incomplete, or is not what its manifest says
│   ├── SuiteError      a suite of questions cannot be read, or is not what its manifest says
│   └── StackError      an embedded server cannot start (a port in use, a missing dependency)
├── WarehouseError      ClickHouse refused: carries ClickHouse's code
│   ├── Transient       waiting may help (down, overloaded, read-only, disk full)
│   └── Permanent       the same block will fail again
└── Fenced              another process owns what this one thought it owned; stop at once

The command line prints a UserError's text and exits 2; anything else is a bug or a fault and keeps its traceback.
"""


class HeadraceError(Exception):
    """The root: catch it to catch everything headrace raises on purpose."""


class UserError(HeadraceError):
    """A person can mend it; `str(error)` is one sentence for them."""


class SettingsError(UserError):
    """An environment variable or an address is unusable."""


class PlanError(UserError):
    """The plan is wrong: the text names the file, the line, the key and what is allowed."""


class EventError(UserError):
    """An event is malformed: the text names the field.

    field: its path, as in `scores.it`; empty where it is the whole, or more than one field
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class ArtifactError(UserError):
    """A published model is missing, incomplete, or is not what its manifest says."""


class SuiteError(UserError):
    """A suite of questions cannot be read, or is not what its manifest says."""


class StackError(UserError):
    """An embedded server cannot start."""


class WarehouseError(HeadraceError):
    """ClickHouse refused a statement.

    code: ClickHouse's error code, 0 where the failure came before ClickHouse answered
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Transient(WarehouseError):
    """Waiting may help: down, overloaded, read-only, disk full, too many parts."""


class Permanent(WarehouseError):
    """The same block will fail again: a value that does not fit, an unknown column, a bad query."""


class Fenced(HeadraceError):
    """Another process owns what this one thought it owned."""

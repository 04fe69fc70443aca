"""Settings: from the environment, once, with a sentence for each mistake and no secret in sight."""

from pathlib import Path

import pytest

from headrace.errors import SettingsError
from headrace.settings import Settings, address


def test_a_child_gets_the_same_settings():
    """environ() and from_environ() are inverse."""
    settings = Settings(home=Path("/srv/x"), kafka="a:1,b:2", embedded=(), otlp_grpc="", kafka_password="s3cret")
    assert Settings.from_environ(settings.environ()) == settings


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"HEADRACE_KAFAK": "x"}, "HEADRACE_KAFAK is not a setting"),
        ({"HEADRACE_KAFKA": "localhost"}, "needs a host and a port"),
        ({"HEADRACE_GATEWAY": "http://127.0.0.1:eighty"}, "is not an address"),
        ({"HEADRACE_OTLP_GRPC": "localhost"}, "is not an address"),
        ({"HEADRACE_EMBEDDED": "redis"}, "it takes kafka and clickhouse"),
        ({"HEADRACE_STREAMS_WORKERS": "0"}, "from 1 to 64"),
    ],
)
def test_an_unusable_variable_is_named(environ, says):
    """The sentence names the variable or the address."""
    with pytest.raises(SettingsError, match=says):
        Settings.from_environ(environ)


def test_secrets_are_not_shown():
    """repr never holds a password or a key."""
    shown = repr(Settings(clickhouse_password="hunter2", kafka_password="s3cret"))
    assert "hunter2" not in shown
    assert "s3cret" not in shown


def test_an_address_of_a_list_is_its_first():
    """Bootstrap lists name several brokers."""
    assert address("a:1,b:2") == ("a", 1)

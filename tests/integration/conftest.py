"""Use cases on the session's Kafka and Redis."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_app.local import LocalRedis
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.services import Kafka, choose
from tests.usecases import regression, text

#: Where nothing listens: a use case without state must not notice.
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
def cluster(kafka: Kafka) -> Iterator[Cluster]:
    """The session's broker."""
    with closing(Cluster(kafka.bootstrap)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def local_only(request: pytest.FixtureRequest) -> None:
    """Skip where services are not ours to harm."""
    option = request.config.getoption("--services")
    if choose(option) != "local":
        pytest.skip(f"harms local services, and this run has --services={option}")


@pytest.fixture
def own_redis(local_only: None) -> Iterator[LocalRedis]:
    """A Redis that the test may do anything to."""
    with LocalRedis() as service:
        yield service


@pytest.fixture
def meters(cluster: Cluster, redis_url: str, tmp_path: Path) -> Testbed:
    """The regression with state."""
    return Testbed(regression, tmp_path, cluster, redis_url)


@pytest.fixture
def tickets(cluster: Cluster, tmp_path: Path) -> Testbed:
    """The text classifier, which needs no Redis and gets none."""
    return Testbed(text, tmp_path, cluster, NO_REDIS)

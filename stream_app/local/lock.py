"""Write `kafka.lock.json` anew: `python -m stream_app.local.lock`.

For whoever raises Kafka's version. It needs the `local` extra and the network, resolves the
dependencies as Maven does, and trusts what it downloads: read the difference before committing it.
"""

import hashlib
import json
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from .jars import LOCK_FILE, Jar, download

_KAFKA = "4.3.0"
_SLF4J = "1.7.36"  # the version of slf4j-api that Kafka depends on

REQUIRED = (f"org.apache.kafka:kafka_2.13:{_KAFKA}", f"org.slf4j:slf4j-simple:{_SLF4J}")


def resolve(required: tuple[str, ...] = REQUIRED) -> list[dict[str, str]]:
    """Return coordinate and sha256 of every jar that `required` need at run time."""
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch))
        inputs, transitive = context.resolver.resolve(
            [context.create_dependency(coordinate) for coordinate in required]
        )
        coordinates = {f"{one.groupId}:{one.artifactId}:{one.version}" for one in inputs}
        coordinates |= {
            f"{one.groupId}:{one.artifactId}:{one.version}"
            for one in transitive
            if one.scope in ("compile", "runtime")
        }
        locked = []
        for coordinate in sorted(coordinates):
            path = download(Jar(coordinate, sha256=""), Path(scratch))
            locked.append(
                {
                    "coordinate": coordinate,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
            )
        return locked


def main() -> None:
    """Write the lock file."""
    content = {"required": list(REQUIRED), "jars": resolve()}
    LOCK_FILE.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

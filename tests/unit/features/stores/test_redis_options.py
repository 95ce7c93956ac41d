"""Options in a URL of Redis: a list is allowed, everything else is refused in a sentence."""

from typing import Any

import pytest
from redis import Redis

from stream_app.features.stores.redis import check_options, client_of
from stream_app.features.stores.redis.options import OPTIONS

VALUES = {
    "protocol": "3", "db": "0", "ssl_cert_reqs": "none", "ssl_min_version": "771",
    "ssl_ca_certs": __file__, "ssl_ca_path": "/", "ssl_certfile": __file__,
    "ssl_keyfile": f"{__file__}&ssl_certfile={__file__}",
}  # fmt: skip


def value_of(name: str) -> str:
    """A value that the option may have."""
    pattern = OPTIONS[name]
    return VALUES.get(name, "yes" if "true" in pattern else "5" if r"\d" in pattern else "text")


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("scheme", ["rediss://host:6379", "rediss+cluster://host:6379"])
def test_what_is_allowed_is_known_to_redis_py(scheme: str, name: str) -> None:
    """Of one server the connection takes it."""
    url = f"{scheme}?{name}={value_of(name)}"
    check_options(url)
    client = client_of(url, timeout_seconds=1.0)
    if isinstance(client, Redis):
        assert client.connection_pool.make_connection() is not None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host/0?decode_responses=true", "the option decode_responses; allowed are"),
        ("redis://host/0?encoding=latin-1", "the option encoding"),
        ("redis://host/0?connection_class=x", "the option connection_class"),
        ("redis://host/0?retry_on_error=x", "the option retry_on_error"),
        ("redis://host/0?max_connections=1", "the option max_connections"),
        ("redis://host/0?socket_timeout=soon", "the option socket_timeout is given"),
        ("redis://host/0?socket_timeout=1&socket_timeout=2", "socket_timeout is given"),
        ("redis://host/0?socket_timeout=0", "the option socket_timeout is given"),
        ("redis://host/0?socket_connect_timeout=0.0", "socket_connect_timeout is given"),
        ("redis://host/0?client_name=caf%C3%A9", "the option client_name is given"),
        ("rediss://host/0?ssl_min_version=5", "the option ssl_min_version is given"),
        ("rediss://host/0?ssl_ca_certs=/no/such.pem", "no such file as the option ssl_ca_certs"),
        ("rediss://host/0?ssl_ca_certs=%00", "no such file as the option ssl_ca_certs"),
        (f"rediss://host/0?ssl_keyfile={__file__}", "ssl_keyfile needs ssl_certfile"),
        ("redis://host/0?db=", "the option db is given"),
        ("redis://host/0?protocol=4", "the option protocol is given"),
        ("redis://host/0?ssl_ca_certs=/ca.pem", "ssl_ca_certs needs rediss://"),
        ("unix:///redis.sock?socket_keepalive=yes", "none of a unix:// socket"),
        ("redis+cluster://a:1,b:2?db=3", "database 0 alone"),
        ("redis://host/0?Sesame=1", "redis_url has an option;"),
        ("redis://:Ses?ame@host/0", "%3F"),
        ("redis://:Ses#ame@host/0", "%23"),
    ],
)
def test_what_is_not_allowed_is_refused_without_showing_a_secret(url: str, told: str) -> None:
    """A password in the wrong place looks like an option."""
    for call in (check_options, client_of):
        with pytest.raises(ValueError, match=told) as refused:
            call(url)
        assert "Ses" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://host", "rediss://host", "unix:///redis.sock"])
def test_every_server_and_proxy_understands_what_is_spoken(url: str) -> None:
    """HELLO, which asks for another protocol, is unknown to some of them."""
    client = client_of(url)
    assert isinstance(client, Redis)
    connection: Any = client.connection_pool.make_connection()
    assert connection.protocol == 2
    if not url.startswith("unix"):
        assert connection.socket_keepalive

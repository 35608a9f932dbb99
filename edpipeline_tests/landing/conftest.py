"""The two stores, for every test of what is written down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from edpipeline.landing.s3 import S3Store
from edpipeline.landing.store import Store, open_store


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_endpoint: str) -> Iterator[Any]:
    """The tests' own hand in the bucket."""
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket="landing-bucket")
    yield client
    client.close()


@pytest.fixture
def s3_store(s3_client: Any, s3_endpoint: str) -> S3Store:
    """A store under a prefix of its own. The client is shared: making one takes 0.4 s."""
    store = open_store(f"s3://landing-bucket/deep/{uuid4().hex}?endpoint_url={s3_endpoint}")
    assert isinstance(store, S3Store)
    vars(store)["_client"] = s3_client
    return store


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "landing"))
    found: Store = request.getfixturevalue("s3_store")
    return found

"""The S3 half of the landing store: see store.py for what a store promises.

S3 makes a key appear whole or not at all; `If-None-Match: *` makes the first writer win. The
content hash travels as metadata, so that asking whether the same bytes are there already costs
one request and no download. A killed upload of a large file leaves invisible parts behind:
give the bucket a lifecycle rule that ends incomplete multipart uploads after a day.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    ConnectionLost,
    EdpipelineError,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing.store import (
    already_other,
    checked_key,
    checked_prefix,
    is_key,
    plain_disk_errors,
    require_hash,
)
from edpipeline.scratch import scratch_folder

S3_PART = 64 << 20
"""Bytes in one request; a larger file goes up in parts of this size (S3 takes 10,000)."""


class _WrittenByAnother(Transient):
    """The key came to be between our asking and our writing."""


class _ConditionUnknown(Permanent):
    """This service does not know If-None-Match on a write."""


def open_s3(bucket: str, path: str, query: str, scratch: Path | None = None) -> "S3Store":
    """The store named by the parts of an `s3://` url; downloads lie in `scratch`.

    Raises BadConfiguration.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,62}", bucket):
        raise BadConfiguration(
            "an S3 landing store is written s3://bucket/prefix; credentials come from the "
            "environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...), never from the url"
        )
    options = parse_qs(query, keep_blank_values=True)
    endpoint = options.pop("endpoint_url", [""])[0]
    if options:
        raise BadConfiguration(f"s3 url: only ?endpoint_url= is known, not {sorted(options)}")
    if endpoint and (
        urlsplit(endpoint).scheme not in ("http", "https") or "@" in urlsplit(endpoint).netloc
    ):
        raise BadConfiguration("s3 url: endpoint_url is http(s)://host:port, without credentials")
    prefix = path.strip("/")
    if prefix:
        checked_key(prefix)
    return S3Store(bucket, prefix, endpoint or None, scratch)


@dataclass(frozen=True)
class S3Store:
    """A store under a prefix of an S3 bucket, or of any service that speaks S3."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    scratch: Path | None = None

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write the bytes once; see Store."""
        self._keep(key, io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest())

    def write_file(self, key: str, path: Path, sha256: str | None = None) -> None:
        """Write a copy of the file once, streamed; see Store."""
        with path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
            require_hash(found, sha256, key)
            self._keep(key, source, source.seek(0, os.SEEK_END), found)

    def read_bytes(self, key: str) -> bytes:
        """The bytes under `key`; see Store."""
        with self._calling(key):
            body: bytes = self._client.get_object(**self._at(key))["Body"].read()
            return body

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """A download into a scratch folder that is removed afterwards; see Store."""
        with scratch_folder(self.scratch) as folder:
            path = folder / checked_key(key).rpartition("/")[2]
            with self._calling(key), plain_disk_errors(path.parent):
                self._client.download_file(self.bucket, self._at(key)["Key"], str(path))
            yield path

    def list(self, prefix: str = "") -> list[str]:
        """The keys that start with `prefix`, sorted; see Store."""
        root = f"{self.prefix}/" if self.prefix else ""
        with self._calling(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=root + checked_prefix(prefix)
            )
            found = [item["Key"] for page in pages for item in page.get("Contents", ())]
        keys = [key.removeprefix(root) for key in found]
        return sorted(key for key in keys if is_key(key))

    def exists(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        return self._head(key) is not None

    def written_at(self, key: str) -> datetime:
        """By the service's clock; see Store."""
        with self._calling(key):
            at: datetime = self._client.head_object(**self._at(key))["LastModified"]
            return at

    def replace_file(self, key: str, path: Path) -> None:
        """Write over what is there; see Store. A bucket with versions keeps the one before."""
        with path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
            self._put(key, source, source.seek(0, os.SEEK_END), found, {})

    def remove_left_behind(self, prefix: str) -> int:
        """End uploads that were never completed; see Store."""
        client, root = self._client, self._below(checked_prefix(prefix))
        with self._calling(prefix):
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=root
            )
            begun = [each for page in pages for each in page.get("Uploads", ())]
            for each in begun:
                client.abort_multipart_upload(
                    Bucket=self.bucket, Key=each["Key"], UploadId=each["UploadId"]
                )
        return len(begun)

    def objects(self) -> Sequence[tuple[str, int, datetime]]:
        """Path below the prefix, bytes and time of every object, whoever wrote it."""
        root = f"{self.prefix}/" if self.prefix else ""
        with self._calling(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=root
            )
            found = [item for page in pages for item in page.get("Contents", ())]
        return [(o["Key"].removeprefix(root), o["Size"], o["LastModified"]) for o in found]

    def upload(self, path: str, file: Path) -> None:
        """Write a file over whatever is there."""
        with self._calling(path):
            self._client.upload_file(str(file), self.bucket, self._below(path))

    def download(self, path: str, target: Path) -> None:
        """A copy of an object, whoever wrote it; raises NotFound."""
        with self._calling(path), plain_disk_errors(target.parent):
            self._client.download_file(self.bucket, self._below(path), str(target))

    def remove(self, path: str) -> None:
        """Delete an object; nothing happens where there is none."""
        with self._calling(path):
            self._client.delete_object(Bucket=self.bucket, Key=self._below(path))

    def _below(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def describe(self) -> str:
        """Bucket, prefix and endpoint; never a credential."""
        at = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"s3://{self.bucket}/{self.prefix}{at}"

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        options: dict[str, Any] = {}
        if self.endpoint_url:
            # Other services rarely know AWS's newer checksums or a host name per bucket.
            options = {
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "s3": {"addressing_style": "path"},
            }
        retries = {"mode": "standard", "total_max_attempts": 4}
        config = Config(connect_timeout=15, read_timeout=60, retries=retries, **options)
        return boto3.session.Session().client("s3", endpoint_url=self.endpoint_url, config=config)

    def _at(self, key: str) -> dict[str, str]:
        checked_key(key)
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{key}" if self.prefix else key}

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            with self._calling(key):
                head: dict[str, Any] = self._client.head_object(**self._at(key))
                return head
        except NotFound:
            return None

    def _keep(self, key: str, source: BinaryIO, size: int, sha256: str) -> None:
        head = self._head(key)
        if head is None:
            try:
                self._put(key, source, size, sha256, {"IfNoneMatch": "*"})
            except _WrittenByAnother:
                head = self._head(key) or {}
            except _ConditionUnknown:
                self._put(key, source, size, sha256, {})
        if head is not None and not self._holds(key, head, size, sha256):
            raise already_other(key, self)

    def _put(
        self, key: str, source: BinaryIO, size: int, sha256: str, only_if: dict[str, str]
    ) -> None:
        at, client, metadata = self._at(key), self._client, {"sha256": sha256}
        source.seek(0)
        if size <= S3_PART:
            with self._calling(key):
                client.put_object(**at, Body=source.read(S3_PART), Metadata=metadata, **only_if)
            return
        with self._calling(key):
            begun = client.create_multipart_upload(**at, Metadata=metadata)
        upload = {**at, "UploadId": begun["UploadId"]}
        try:
            with self._calling(key):
                parts: list[dict[str, Any]] = []
                while chunk := source.read(S3_PART):
                    number = len(parts) + 1
                    sent = client.upload_part(**upload, PartNumber=number, Body=chunk)
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
                client.complete_multipart_upload(
                    **upload, MultipartUpload={"Parts": parts}, **only_if
                )
        except BaseException:
            # What was sent of it would stay, invisible and paid for.
            with suppress(EdpipelineError), self._calling(key):
                client.abort_multipart_upload(**upload)
            raise

    def _holds(self, key: str, head: dict[str, Any], size: int, sha256: str) -> bool:
        if head.get("ContentLength") != size:
            return False
        kept = head.get("Metadata", {}).get("sha256")
        if kept is None:
            with self.local_copy(key) as path, path.open("rb") as file:
                kept = hashlib.file_digest(file, "sha256").hexdigest()
        return bool(kept == sha256)

    @contextmanager
    def _calling(self, key: str) -> Iterator[None]:
        """Turns what boto3 raises into our words. Imported here: boto3 costs 0.3 s to load."""
        from botocore import exceptions as aws

        place = f"{key} in {self.describe()}"
        try:
            yield
        except aws.ClientError as error:
            raise _s3_meaning(error.response, place) from error
        except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
            raise BadCredentials(
                f"{self.describe()}: no S3 credentials in the environment; set AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
            ) from error
        except (aws.HTTPClientError, aws.ConnectionError, aws.IncompleteReadError) as error:
            raise ConnectionLost(f"{place}: S3 did not answer ({type(error).__name__})") from error
        except aws.BotoCoreError as error:
            raise BadConfiguration(f"{self.describe()}: {type(error).__name__}") from error


def _s3_meaning(response: dict[str, Any], place: str) -> EdpipelineError:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return BadConfiguration(f"{place}: the bucket does not exist; make it or correct the url")
    if code in ("NoSuchKey", "NotFound", "404"):
        return NotFound(f"nothing is kept under {place}")
    if code == "PreconditionFailed":
        return _WrittenByAnother(f"{place}: written by another process meanwhile")
    if code == "NotImplemented":
        return _ConditionUnknown(f"{place}: this S3 service cannot do what was asked")
    if status in (401, 403):
        return BadCredentials(f"{place}: S3 refused us ({code}); check the key and its rights")
    if status >= 500 or status in (408, 409, 429) or code in ("SlowDown", "RequestTimeout"):
        return Transient(f"{place}: S3 is busy or ill ({code})")
    return Permanent(f"{place}: S3 refused the request ({code})")

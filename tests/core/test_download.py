"""A download is checked by the digest that is known, or by the one that its server states."""

import base64
import hashlib

import pytest

from tlbench.core.download import download
from tlbench.core.errors import DownloadError
from tlbench.core.progress import Silent

CONTENT = b"one file"


def stated(content, *, name="md5"):
    return {"x-goog-hash": f"crc32c=AAAAAA==,{name}={base64.b64encode(content).decode()}"}


@pytest.fixture
def fetch(serve, tmp_path):
    """Download a file of a server that sends such headers; the file's content."""
    site, kept = tmp_path / "site", tmp_path / "kept"
    site.mkdir()
    kept.mkdir()
    (site / "file").write_bytes(CONTENT)

    def do(*, headers=None, sha256=None):
        url = f"{serve(site, headers=headers)}/file"
        return download(url, kept / "file", Silent(), sha256=sha256).read_bytes()

    return do


def test_known_digest_needs_none_of_the_server(fetch):
    assert fetch(sha256=hashlib.sha256(CONTENT).hexdigest()) == CONTENT


def test_wrong_known_digest(fetch):
    with pytest.raises(DownloadError, match="does not match the known hash"):
        fetch(sha256="0" * 64)


def test_digest_that_the_server_states(fetch):
    assert fetch(headers=stated(hashlib.md5(CONTENT).digest())) == CONTENT


def test_other_content_than_the_server_states(fetch):
    """As where a proxy hands on something else."""
    with pytest.raises(DownloadError, match="its server states d41d8cd98f00b204e9800998ecf8427e"):
        fetch(headers=stated(hashlib.md5(b"").digest()))


@pytest.mark.parametrize("headers", [None, stated(b"1234", name="sha9")])
def test_no_digest_at_all_is_refused(fetch, headers):
    """As the page of a portal, or a mirror that says nothing."""
    with pytest.raises(DownloadError, match="states no MD5 of it"):
        fetch(headers=headers)


def test_stated_digest_that_is_no_base64(fetch):
    with pytest.raises(DownloadError, match="failed"):
        fetch(headers={"x-goog-hash": "md5=!!"})

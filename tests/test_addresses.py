"""Secrets in addresses: masked in every text, no part of a name, and kept for whoever reads the file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.executors.ledger import Outcome
from mucoffea.executors.plan import build_plan
from mucoffea.filesets.addresses import is_remote, logical_name, redacted, redacted_content, server, without_secrets
from mucoffea.filesets.local import BadFile, build_fileset
from mucoffea.filesets.models import Dataset
from mucoffea.filesets.registry import _stem

#: Where a secret can be; § is its place.
ADDRESSES = [
    "https://host/store/f.root?authz=Bearer%20§",
    "https://host/store/f.root?authz=Bearer §",
    "https://host/store/f.root?authz=§&x=1",
    "https://host/f.root?x=1&access_token=§",
    "https://host/f.root?token=§",
    "root://user:§@host//store/f.root",
    "root://§@host:1094//store/f.root",
    "root://host//store/f.root?xrd.wantprot=unix&authz=§",
    "https://bucket.s3.amazonaws.com/f.root?X-Amz-Credential=§%2F20260101&X-Amz-Date=1&X-Amz-Signature=§",
    "https://storage.googleapis.com/b/f.root?X-Goog-Signature=§",
    "https://account.blob.core.windows.net/c/f.root?sv=2020&sig=§",
    "https://host/f.root?AWSAccessKeyId=AKIA&Signature=§&Expires=12",
    "root://eos.host//eos/f.root?cap.sym=§&cap.msg=§",
    "https://host/go?next=https%3A%2F%2Fother%2Ff.root%3Ftoken%3D§",
]
TEXTS = [
    *ADDRESSES,
    "GET 'https://host/f.root?token=§' failed: 401, url='https://u:§@host/f.root'",
    "Authorization: Bearer §",
    "Authorization: Basic §",
    '{"path": "https://host/f.root?token=§", "traceback": "raise OSError(\\"root://u:§@host//f\\")"}',
    "-----BEGIN RSA PRIVATE KEY-----\n§\n§\n-----END RSA PRIVATE KEY-----",
]
secrets = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", min_size=12, max_size=60)


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=25)
@given(secret=secrets)
def test_no_secret_survives(text: str, secret: str):
    full = text.replace("§", secret)
    shown = redacted(full)
    assert secret not in shown
    assert redacted(shown) == shown
    assert secret not in json.dumps(redacted_content({"a": [full, (full, 1)], full: None}))


def test_what_is_no_secret_stays():
    for text in (
        "https://host/store/f.root",
        "root://xrootd.host:1094//store/user/me@home/f.root:Events",
        "https://host/get?file=a.root&download=1",
        "muon.min_pt=25 and --set author=me",
        '{"key": "0123456789abcdef", "path": "/data/a.root"}',
        "The token of the era is unknown; a key is missing.",
    ):
        assert redacted(text) == text
    json.loads(redacted(json.dumps({"a": "-----BEGIN CERTIFICATE-----\nabc", "b": 1})))


@pytest.mark.parametrize("address", ADDRESSES)
@settings(max_examples=25)
@given(one=secrets, two=secrets)
def test_a_renewed_token_leaves_the_name_and_the_key_alone(address: str, one: str, two: str):
    first, second = address.replace("§", one), address.replace("§", two)
    assert one not in logical_name(first)
    assert one not in without_secrets(first)
    assert logical_name(first) == logical_name(second)
    assert without_secrets(first) == without_secrets(second)
    assert one not in server(first)


def test_names_of_different_files_stay_different():
    assert logical_name("https://host/get?file=a.root&token=1") != logical_name("https://host/get?file=b.root&token=1")
    assert logical_name("https://u:p@host//store/mc/f.root?authz=x") == "/store/mc/f.root"
    assert without_secrets("/data/odd?token=name.root") == "/data/odd?token=name.root"
    assert _stem("https://host/a/events.root?authz=x") == "events"
    assert server("root://u:p@host:1094//f") == "host:1094"
    assert server("/data/f.root") == server("file:///f.root") == ""


@pytest.mark.parametrize("address", [one for one in ADDRESSES if is_remote(one)])
def test_a_plan_keeps_the_address_and_writes_none_of_its_secret(address: str, tmp_path):
    keys = []
    for secret in ("abcdefghijklmnop", "qrstuvwxyz123456"):
        dataset = Dataset(name="a", kind="mc", process="a", files=(address.replace("§", secret),))
        fileset = build_fileset(dataset)
        known = [file.model_copy(update={"entries": 10, "uuid": "u"}) for file in fileset.files]
        plan = build_plan([fileset.model_copy(update={"files": tuple(known)})], chunksize=5, run_key="r")
        assert secret in plan.items[0].path
        plan.write(tmp_path / "plan.json")
        assert secret not in (tmp_path / "plan.json").read_text()
        keys.append([item.key for item in plan.items])
        failed = Outcome(index=0, status="failed", message=f"no {plan.items[0]}", traceback=f"OSError: {plan.items[0]}")
        assert secret not in failed.model_dump_json()
        assert secret not in str(BadFile("x", f"The file {plan.items[0].path} is bad"))
    assert keys[0] == keys[1]

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from everloop.adapters.releases import ReleaseFiles
from everloop.decide.policy import ServicePolicy
from everloop.errors import ReleaseError
from everloop.release import MANIFEST, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from fakes.s3 import make_bucket


def bundle(model: bytes = b"model") -> Bundle:
    files = {"model.ubj": model, "suites/training_set.json": b"{}"}
    manifest = Manifest(
        use_case="toys",
        columns=("x",),
        categories={"x": ("a", "b")},
        calibrator=Calibrator(x=(0.1, 0.9), y=(0.2, 0.8)),
        threshold=0.25,
        plan=FeaturePlan(service="toys", request={"x": "string"}, views=()),
        entity=("x",),
        service=ServicePolicy(),
        request_suite="training_set",
        shadow_share=0.2,
        snapshot={"toys": 3},
        trained_from=datetime(2013, 1, 1, tzinfo=UTC),
        trained_through=datetime(2013, 3, 1, tzinfo=UTC),
        parameters={"max_depth": 6, "learning_rate": 0.1},
        metrics={"auc": 0.7},
        lineage={"git_commit": "unknown"},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


class Place:
    """Where releases are kept, with a back door for damage."""

    def __init__(self, releases: ReleaseFiles, write: Callable[[str, bytes], None], delete: Callable[[str], None]) -> None:
        self.releases, self.write, self.delete = releases, write, delete


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        root = tmp_path / "releases"
        return Place(
            ReleaseFiles(str(root)),
            lambda name, content: (root / name).write_bytes(content) and None,
            lambda name: (root / name).unlink(),
        )
    endpoint = request.getfixturevalue("s3_server")
    bucket = f"releases-{tmp_path.name.replace('_', '-').lower()[:40]}"
    make_bucket(endpoint, bucket, monkeypatch)
    client = boto3.client("s3", endpoint_url=endpoint)
    return Place(
        ReleaseFiles(f"s3://{bucket}/some/prefix", endpoint),
        lambda name, content: client.put_object(Bucket=bucket, Key=f"some/prefix/{name}", Body=content) and None,
        lambda name: client.delete_object(Bucket=bucket, Key=f"some/prefix/{name}") and None,
    )


def test_what_was_put_comes_back_whole(place: Place) -> None:
    release = place.releases.put(bundle())
    found = place.releases.get(release)
    assert release == bundle().id == found.id
    assert (found.manifest, dict(found.files)) == (bundle().manifest, dict(bundle().files))


def test_putting_twice_changes_nothing(place: Place) -> None:
    assert place.releases.put(bundle()) == place.releases.put(bundle())
    assert place.releases.get(bundle().id).id == bundle().id


def test_an_absent_release_is_an_error_that_names_it(place: Place) -> None:
    with pytest.raises(ReleaseError, match="Release 0123456789abcdef is not under"):
        place.releases.get("0123456789abcdef")


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "0123456789ABCDEF", "0123456789abcdef/"])
def test_a_name_that_is_no_release_is_never_looked_up(place: Place, name: str) -> None:
    with pytest.raises(ReleaseError, match="is no release"):
        place.releases.get(name)


def test_a_changed_file_is_refused_and_putting_again_mends_it(place: Place) -> None:
    release = place.releases.put(bundle())
    place.write(f"{release}/model.ubj", b"another model")
    with pytest.raises(ReleaseError, match=r"file model\.ubj has SHA-256"):
        place.releases.get(release)
    place.releases.put(bundle())
    assert place.releases.get(release).files["model.ubj"] == b"model"


def test_a_lost_file_is_refused_and_putting_again_mends_it(place: Place) -> None:
    release = place.releases.put(bundle())
    place.delete(f"{release}/suites/training_set.json")
    with pytest.raises(ReleaseError, match=r"file suites/training_set\.json is missing"):
        place.releases.get(release)
    place.releases.put(bundle())
    assert place.releases.get(release).id == release


def test_a_changed_manifest_is_refused(place: Place) -> None:
    release = place.releases.put(bundle())
    place.write(f"{release}/{MANIFEST}", b"{}")
    with pytest.raises(ReleaseError, match="its manifest hashes to"):
        place.releases.get(release)


def test_a_release_without_its_manifest_does_not_exist(place: Place) -> None:
    release = place.releases.put(bundle())
    place.delete(f"{release}/{MANIFEST}")
    with pytest.raises(ReleaseError, match="is not under"):
        place.releases.get(release)


def test_a_bundle_that_is_not_its_manifest_is_never_kept(place: Place) -> None:
    wrong = Bundle(bundle().manifest, {**bundle().files, "model.ubj": b"other"})
    with pytest.raises(ReleaseError):
        place.releases.put(wrong)
    with pytest.raises(ReleaseError, match="is not under"):
        place.releases.get(wrong.id)


def test_writers_of_one_release_in_parallel_all_succeed_and_leave_nothing_else(tmp_path: Path) -> None:
    releases, problems = ReleaseFiles(str(tmp_path)), []

    def put() -> None:
        try:
            releases.put(bundle())
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert [path.name for path in tmp_path.iterdir()] == [bundle().id]
    assert releases.get(bundle().id).id == bundle().id


def test_loading_releases_needs_neither_mlflow_nor_xgboost() -> None:
    code = (
        "import sys, everloop.adapters.releases; print([n for n in ('mlflow', 'xgboost', 'feast', 'boto3') if n in sys.modules])"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"

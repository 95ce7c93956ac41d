"""Which versions are refused, and with which sentence."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from stream_app.errors import ConfigurationError, ServiceAwayError
from stream_app.features.events import Event, Message
from stream_app.features.model_version.golden import GoldenEvent
from stream_app.features.model_version.manifest import MANIFEST, ModelInput, ModelOutput
from stream_app.features.usecase import InputTopic
from stream_app.features.views import FeatureSet, RowFeature
from stream_app.models import Model, ModelRefusedError, ScoringError, load_model, loading
from stream_app.models.checks import BATCH_SIZES
from stream_app.models.session import open_session
from tests.unit.models.sales import (
    FEATURES,
    SHOP,
    TOPICS,
    Sale,
    Version,
    golden_events,
    graph,
    manifest,
    sale,
    to_bytes,
    vector,
)  # fmt: skip


def refusal(version: Version, **options: Any) -> str:
    """The sentence the version is refused with."""
    with pytest.raises(ModelRefusedError) as refused:
        version.load(**options)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def edit(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest on disk."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def load(folder: Path) -> str:
    """The sentence the folder is refused with."""
    with pytest.raises(ModelRefusedError) as refused:
        load_model(folder, FEATURES, TOPICS)
    return str(refused.value)


def test_loads(model: Model) -> None:
    """A sound version loads and says who it is."""
    assert (model.name, model.version, str(model)) == ("sales", "1", "sales 1")
    assert [tensor.name for tensor in model.inputs] == ["x", "shop", "n"]
    assert model.manifest.decision == {"threshold": 0.3}
    assert model.baseline.rows == 500


def test_refusal_is_a_configuration_error() -> None:
    """A refused model ends the process like any wrong setting: one line, status 2."""
    assert issubclass(ModelRefusedError, ConfigurationError)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is not trained yet; one without a manifest is something else."""
    assert load(tmp_path / "nowhere") == (
        f"{tmp_path}/nowhere is not trained yet: run what trains it and calls stream_app.package(); "
        "in a project of `stream-app new`, python -m NAME.training.train log.jsonl."
    )
    (tmp_path / "nowhere").mkdir()
    assert load(tmp_path / "nowhere") == (
        f"{tmp_path}/nowhere/manifest.json cannot be read (No such file or directory): "
        "is this the folder of a model version?"
    )


@pytest.mark.parametrize("name", ["model.onnx", "baseline.json", "golden.json"])
def test_missing_file(version: Version, name: str) -> None:
    """A file that went missing is named."""
    folder = version.write()
    (folder / name).unlink()
    assert f"{folder / name} cannot be read" in load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "golden_events.jsonl"])
def test_changed_file(version: Version, name: str) -> None:
    """One changed byte is noticed, whatever the file."""
    folder = version.write()
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    assert load(folder) == (
        f"{folder / name} is not the file that manifest.json describes (its sha256 differs): "
        "restore the folder, a version is never edited."
    )


def test_extra_file(version: Version) -> None:
    """A file the manifest does not list has no business there."""
    folder = version.write()
    (folder / "notes.txt").write_text("hello")
    assert f"{folder}/notes.txt is not listed in manifest.json" in load(folder)


def test_listed_file_is_kept(version: Version) -> None:
    """Further files are welcome once the manifest lists them."""
    assert version.but(others={"encodings.json": b"{}"}).load().manifest.files["encodings.json"]


def test_unlisted_model(version: Version) -> None:
    """A manifest without the graph's hash vouches for nothing."""
    folder = version.write()
    files = json.loads((folder / MANIFEST).read_text())["files"]
    del files["model.onnx"]
    edit(folder, files=files)
    assert "does not list model.onnx" in load(folder)


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("seed", "many", "seed"),
        ("layout", 2, "layout"),
        ("surprise", 1, "surprise"),
        ("version", "../1", "version"),
        ("files", {"../../etc/passwd": "0" * 64}, "files.../../etc/passwd.[key]"),
    ],
)
def test_broken_manifest(version: Version, field: str, value: Any, where: str) -> None:
    """A manifest that breaks its contract is refused with the field at fault."""
    folder = version.write()
    edit(folder, **{field: value})
    assert f"{folder}/manifest.json breaks its contract at {where} (" in load(folder)


def test_not_json(version: Version) -> None:
    """A manifest that is not JSON is refused as a whole."""
    folder = version.write()
    (folder / MANIFEST).write_bytes(b"\xff{")
    assert "breaks its contract at the document" in load(folder)


def test_undeclared_column(version: Version) -> None:
    """A column the feature set does not declare is named."""
    other = FeatureSet(views=(SHOP,), row_features=FEATURES.row_features[1:], triggers=(Sale,))
    assert refusal(version.but(features=other)) == (
        "Model sales 1 is refused: it takes the column price, which is not declared: train "
        "a version with this feature set, or serve it with the code it was trained with."
    )


def test_other_dtype(version: Version) -> None:
    """A column declared with another dtype is named with both."""
    length = RowFeature("length", lambda event: 1.0, "", "Letters.")
    other = FeatureSet(
        views=(SHOP,), row_features=(*FEATURES.row_features[:2], length), triggers=(Sale,)
    )
    assert "the column length as int64, which is declared as float32" in refusal(
        version.but(features=other)
    )


def test_other_fingerprint(version: Version) -> None:
    """A feature set that changed in a way the columns do not show is noticed."""
    other = FeatureSet(views=(SHOP,), row_features=FEATURES.row_features[:3], triggers=(Sale,))
    assert "the feature set has changed since it was trained (its fingerprint is" in refusal(
        version.but(features=other)
    )


def test_no_graph(version: Version) -> None:
    """Bytes that are no graph are refused with ONNX Runtime's reason."""
    assert "ONNX Runtime cannot open its graph" in refusal(version.but(model=b"not a graph"))


def test_other_inputs(version: Version) -> None:
    """A graph with an input more than the manifest is refused with both lists."""
    more = graph(input=[helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    assert "the graph's inputs are n, shop, x, y, the manifest's n, shop, x" in refusal(
        version.but(model=to_bytes(more))
    )


def test_other_input_dtype(version: Version) -> None:
    """An input of another dtype than the graph's is refused with both."""
    made = graph()
    made.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    made.node[0].input[0] = made.node[1].input[2] = "single"
    made.node.insert(0, helper.make_node("Cast", ["x"], ["single"], to=TensorProto.FLOAT))
    assert (
        "its input x is tensor(float) in the manifest, and tensor(double) in the graph: write the "
        "version again; stream_app.package takes dtypes from the graph, here float64."
    ) in refusal(version.but(model=to_bytes(made)))


def test_other_input_width(version: Version) -> None:
    """A tensor with fewer columns than the graph takes is refused with both shapes."""
    inputs = (
        ModelInput(name="x", dtype="float32", columns=("mean_price",)),
        *manifest().inputs[1:],
    )
    golden = tuple(
        each.model_copy(update={"columns": {k: v for k, v in each.columns.items() if k != "price"}})
        for each in version.golden
    )
    assert "its input x is declared with shape (1,) a row, the graph has (2,)" in refusal(
        version.but(manifest=manifest(inputs=inputs), golden=golden)
    )


def test_fixed_batch(version: Version) -> None:
    """A graph exported for a fixed number of rows is refused with how to export it."""
    made = graph()
    made.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    assert "its input x has the fixed shape [8, 2]: export the graph with a free first axis" in (
        refusal(version.but(model=to_bytes(made)))
    )


def with_output(version: Version, output: ModelOutput, golden: Any = 0.5) -> Version:
    """The version with another declared output."""
    vectors = tuple(
        each.model_copy(update={"outputs": {output.name: golden}}) for each in version.golden
    )
    return version.but(manifest=manifest(outputs=(output,)), golden=vectors)


def test_absent_output(version: Version) -> None:
    """An output the graph lacks is refused with those it has."""
    assert "the graph has no output answer, it has label, score" in refusal(
        with_output(version, ModelOutput(name="answer", dtype="float32"))
    )


def test_other_output_dtype(version: Version) -> None:
    """An output of another dtype is refused with both."""
    assert (
        "its output label is tensor(float) in the manifest, and tensor(int64) in the graph"
        in refusal(with_output(version, ModelOutput(name="label", dtype="float32")))
    )


def test_other_output_shape(version: Version) -> None:
    """An output of another shape is refused with both."""
    assert "its output score is declared with shape (3,) a row, the graph has ()" in refusal(
        with_output(
            version, ModelOutput(name="score", dtype="float32", shape=(3,)), [0.1, 0.2, 0.7]
        )
    )


def test_output_shape_the_graph_does_not_tell(version: Version) -> None:
    """Where the graph leaves the shape open, what comes out of it decides."""
    made = graph()
    made.output[0].type.tensor_type.ClearField("shape")
    made.output[0].type.tensor_type.shape.dim.add()
    made.output[0].type.tensor_type.shape.dim.add()
    made.node[8].CopyFrom(helper.make_node("Concat", ["column", "column"], ["score"], axis=1))
    del made.node[9:]
    del made.output[1:]
    other = with_output(version, ModelOutput(name="score", dtype="float32", shape=(3,)), [0.1] * 3)
    sentence = refusal(other.but(model=to_bytes(made)))
    assert re.search(r"its output score is .*\(2,\)", sentence)


def test_output_rows_misstated_by_the_converter(version: Version) -> None:
    """A converter's wrong number of rows on an output is harmless: the rows scored decide."""
    made = graph()
    made.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    model = version.but(model=to_bytes(made)).load()
    assert model.score([[3.5, 2.0, "north", 5, 1.0]] * 3)["score"].shape == (3,)


def test_golden_vector_off(version: Version) -> None:
    """A golden vector that is missed by little is named with both values."""
    usual, unseen = version.golden
    score: Any = usual.outputs["score"]
    off = usual.model_copy(update={"outputs": {"score": score + 2e-5}})
    assert "golden vector 'a usual sale' gives score 0.93991" in refusal(
        version.but(golden=(off, unseen))
    )


def test_golden_vector_within_tolerance(version: Version) -> None:
    """The last bits may differ: another processor has other vector instructions."""
    usual, unseen = version.golden
    score: Any = usual.outputs["score"]
    near = usual.model_copy(update={"outputs": {"score": score + 5e-6}})
    assert version.but(golden=(near, unseen)).load()


def test_feature_code_changed(version: Version) -> None:
    """A function that computes something else, which no fingerprint shows, is caught.

    What changed may lie in another package, or behind an attribute.
    """
    price = RowFeature("price", lambda event: event.price * 1.01, "EUR", "Price.")
    first, *rest = FEATURES.row_features
    assert first.name == "price"
    other = FeatureSet(views=(SHOP,), row_features=(price, *rest), triggers=(Sale,))
    trained = manifest(features_fingerprint=other.fingerprint())
    assert "golden event 1 gives the column price as 2.02 where 2.0 is expected" in refusal(
        version.but(features=other, manifest=trained)
    )


def test_feature_code_written_otherwise(version: Version) -> None:
    """A changed function is refused though no golden event reaches what changed."""
    price = RowFeature(
        "price", lambda event: 0.0 if event.shop == "west" else event.price, "EUR", "Price."
    )
    other = FeatureSet(
        views=(SHOP,), row_features=(price, *FEATURES.row_features[1:]), triggers=(Sale,)
    )
    described = manifest(features=FEATURES.describe())
    assert "trained (row feature price: its function changed): train" in refusal(
        version.but(features=other, manifest=described)
    )


def test_feature_code_without_source(version: Version) -> None:
    """Nobody can say that it changed: the golden events alone are held against it."""
    names: dict[str, Any] = {"__name__": "prompt"}
    exec("compute = lambda event: event.price", names)
    price = RowFeature("price", names["compute"], "EUR", "Price.")
    other = FeatureSet(
        views=(SHOP,), row_features=(price, *FEATURES.row_features[1:]), triggers=(Sale,)
    )
    assert version.but(features=other, manifest=manifest(features=FEATURES.describe())).load()


def test_feature_code_raises(version: Version) -> None:
    """A function that raises on a golden event is told apart from one that computes otherwise."""
    price = RowFeature("price", lambda event: event.cost, "EUR", "Price.")
    other = FeatureSet(
        views=(SHOP,), row_features=(price, *FEATURES.row_features[1:]), triggers=(Sale,)
    )
    trained = manifest(features_fingerprint=other.fingerprint())
    told = refusal(version.but(features=other, manifest=trained))
    assert (
        "replaying its golden events fails in row feature price: AttributeError 'cost' in <la"
        in told
    )
    assert "test_loading.py:" in told
    assert told.endswith("mend that function.")


def test_state_is_replayed(version: Version) -> None:
    """Golden events read the state that the earlier ones left."""
    columns = [event.columns or {} for event in version.events]
    assert [each["mean_price"] for each in columns] == [None, 2.0, None]


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            GoldenEvent(topic="other", value={}, columns={}),
            "come from the topic other, which is none of the use case's (sales):",
        ),
        (GoldenEvent(topic="sales", value={}, columns={}), "is no longer a valid event (field"),
        (GoldenEvent(topic="sales", value=sale(5, "north", 1.0)), "golden event 4 now asks"),
    ],
)
def test_golden_events_off(version: Version, event: GoldenEvent, sentence: str) -> None:
    """Golden events that this code takes for something else are refused."""
    folder = version.write()
    path = folder / "golden_events.jsonl"
    text = path.read_text() + event.model_dump_json(exclude_none=True) + "\n"
    path.write_text(text)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    edit(folder, files=files | {path.name: sha256(text.encode()).hexdigest()})
    assert sentence in load(folder)


class Unsteady:
    """A session whose last bit depends on the size of the batch."""

    def __init__(self, session: Any, size: int) -> None:
        self._session, self._size = session, size
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        """Run, then move the bits."""
        results = self._session.run(names, feed)
        if len(results[0]) == self._size:
            results[0] = np.nextafter(results[0], np.float32(2.0))
        return list(results)


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_bits_depend_on_the_batch(
    version: Version, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """One other last bit in batches of one size is enough to be refused."""
    opened = open_session
    monkeypatch.setattr(
        loading, "open_session", lambda graph, threads: Unsteady(opened(graph, threads), size)
    )
    sentence = refusal(version)
    assert f"in batches of {size} its output score differs from that of the same row" in sentence
    assert re.search(r"by up to \d\.\de-0[78]: serve it with one thread", sentence)


def test_rounding_makes_it_steady(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that declares rounding serves although the graph's last bits vary."""
    opened = open_session
    monkeypatch.setattr(
        loading, "open_session", lambda graph, threads: Unsteady(opened(graph, threads), 32)
    )
    rounded = tuple(
        each.model_copy(update={"outputs": {"score": round(float(str(each.outputs["score"])), 4)}})
        for each in version.golden
    )
    model = version.but(manifest=manifest(score_decimals=4), golden=rounded).load()
    score = model.score([[3.5, 2.0, "north", 5, 1.0]])["score"]
    assert score.dtype == np.float32
    assert score[0] == np.float32(0.9399)


def test_graph_that_fails(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that fails on its own columns is refused, not left for the first record."""

    def fail(self: Model, rows: Any) -> Any:
        raise ScoringError("no") from RuntimeError("bad\nnode")

    monkeypatch.setattr(Model, "score", fail)
    assert "the graph fails on a row of its own columns (bad node)" in refusal(version)


def test_warmed_up(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the checks each size of batch has been scored, then all rows at once."""
    sizes: list[int] = []
    score = Model.score

    def counted(self: Model, rows: Any) -> Any:
        sizes.append(len(rows))
        return score(self, rows)

    monkeypatch.setattr(Model, "score", counted)
    version.load()
    assert set(sizes) >= {1, 2, 7, 32, 64, 256}
    assert sizes[-1] == 258


def test_threads_are_those_served(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks run on the session that serves, with its number of threads."""
    opened = open_session
    asked: list[int] = []

    def open_(graph: bytes, threads: int) -> Any:
        asked.append(threads)
        return opened(graph, threads)

    monkeypatch.setattr(loading, "open_session", open_)
    version.load(threads=2)
    assert asked == [2]


def test_expected_columns_are_recorded_as_float32() -> None:
    """Golden events hold what the model sees: floats rounded to float32."""
    (event,) = golden_events(sale(1, "north", 0.1))
    assert event.columns == {
        "mean_price": None,
        "price": float(np.float32(0.1)),
        "shop": "north",
        "length": 5,
        "unused": 1.0,
    }


def test_vector_with_other_columns_is_not_written(version: Version) -> None:
    """Training cannot write golden vectors that serving could not read."""
    odd = vector("odd", 1.0, 1.0, "north").model_copy(update={"columns": {"price": 1.0}})
    with pytest.raises(ValueError, match="'odd' has other columns"):
        version.but(golden=(*version.golden, odd)).write()


def test_a_service_that_a_decoder_asks_says_nothing_of_the_model(tmp_path: Path) -> None:
    """Golden events are decoded: whoever loads the model waits for the service, and loads it then."""

    def asks(message: Message) -> Event | None:
        raise ServiceAwayError("schema registry", "it does not answer")

    folder = Version(tmp_path).write()
    with pytest.raises(ServiceAwayError, match="does not answer"):
        load_model(folder, FEATURES, (InputTopic("sales", asks),))

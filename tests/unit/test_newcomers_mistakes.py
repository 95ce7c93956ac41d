"""Mistakes that people make with a use case of their own: each is told in a line that says what to write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.scaffold.project import write_project

ROOT = Path(__file__).parents[2]
VIEWS, USECASE, PREDICTIONS = "orders/views.py", "orders/__init__.py", "orders/predictions.py"
PRICE = 'RowFeature("price", "price", "EUR", "Of this order."'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `stream-app new orders` writes, with its log; nothing is trained."""
    folder = tmp_path_factory.mktemp("new") / "orders"
    write_project("orders", folder)
    run(folder, "-m", "orders.training.generate", "log.jsonl")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What a program of Python prints, in a process of its own: modules are imported anew."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, text=True, check=False, stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        env={**clean, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def checked(project: Path, file: str, old: str, new: str) -> str:
    """What `stream-app check --log` prints after a change of one file, which is taken back."""
    path = project / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} does not hold once: {old}"
    path.write_text(text.replace(old, new))
    try:
        return run(project, "-m", "stream_app", "check", "--log", "log.jsonl")
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (VIEWS, f"{PRICE})", 'RowFeature("price", lambda e: e.price, "EUR", "Of this order.", dtype="int64")',
         "the column price is declared int64 and holds a float: declare it float32, or"),
        (VIEWS, f"{PRICE})", f'{PRICE}, dtype="int32")',
         "The column price has the dtype int32, which is none: take one of float32, float64,"),
        (VIEWS, '"price", "price",', '"price", lambda e: {"web": 1.0}[e.channel],',
         "fails in row feature price: KeyError in <lambda> (orders/orders/views.py:36): '"),
        (VIEWS, '"price", "price",', '"price", lambda e: e.price + e.channel,',
         "views.py:36): unsupported operand type(s) for +: 'float' and 'str', for one of the events"),
        (VIEWS, '"price", "price",', '"price", lambda e: None,', "    no row has a value in price"),
        (VIEWS, '"customer_orders", "customer", ORDERS, Order,',
         '"customer_orders", "customer", ORDERS, {Order: lambda e: (e.event_time,)},',
         "view customer_orders: an update is not made of 2 finite numbers, the time first: it has 1"),
        (VIEWS, '"customer_orders", "customer", ORDERS, Order,',
         '"customer_orders", "customer", ORDERS, {Order: lambda e: (e.event_time, e.channel)},',
         "view customer_orders: an update is not made of 2 finite numbers, the time first: value 2 is a str"),
        (VIEWS, "triggers=Order,", "triggers=Order,,",
         "cannot be imported: SyntaxError: invalid syntax (views.py, line"),
        (VIEWS, 'ORDERS.mean("price")', 'ORDERS.mean("prize")',
         "has no field 'prize' there; it has price (<module> (orders/orders/views.py:25))"),
        (USECASE, 'topics=(InputTopic("orders.returned", Returned), InputTopic("orders.ordered", Order))',
         'topics=(InputTopic("orders.ordered", Order))',
         "topics= of the use case orders is of the type InputTopic, and has to be a tuple"),
        (USECASE, 'InputTopic("orders.ordered", Order)', 'InputTopic("orders ordered", Order)',
         "The topic 'orders ordered' has a name that Kafka does not take"),
        (USECASE, 'champion="orders/1"', 'champion="artifacts/orders/1"',
         "a use case names a version as it lies in the folder of versions, orders/1."),
        (PREDICTIONS, "class ReturnPrediction(Prediction)",
         "class ReturnPrediction(__import__('pydantic').BaseModel)",
         "prediction= of the use case orders does not derive from stream_app.Prediction"),
    ],
)  # fmt: skip
def test_check_says_what_is_wrong_where_and_what_to_write(
    project: Path, file: str, old: str, new: str, expected: str
) -> None:
    """Before anything is trained."""
    assert expected in checked(project, file, old, new)


def test_training_says_why_no_row_has_a_label(project: Path) -> None:
    """An outcome that is not declared, and a log that is shorter than outcomes are waited for."""
    path = project / USECASE
    text = path.read_text()
    begin = text.index("    outcome=Outcome(")
    path.write_text(text[:begin] + text[text.index("    ),\n)", begin) + len("    ),\n") :])
    try:
        told = run(project, "-m", "orders.training.train", "log.jsonl")
    finally:
        path.write_text(text)
    assert "none of the 2,000 rows has a label: give the use case an outcome=Outcome(...)" in told
    lines = (project / "log.jsonl").read_text().splitlines(keepends=True)
    (project / "short.jsonl").write_text("".join(lines[:100]))
    told = run(project, "-m", "orders.training.train", "short.jsonl")
    assert "an outcome is waited for 30 days (absent_after_seconds), and the log's rows are" in told
    assert told.splitlines()[-1].endswith("Take a longer log.")


def test_training_says_that_all_labels_are_the_same(project: Path) -> None:
    """What had no outcome has no label where none is declared for it."""
    path = project / USECASE
    text = path.read_text()
    path.write_text(text.replace("        absent_after_seconds=30 * DAY,\n", ""))
    try:
        told = run(project, "-W", "ignore", "-m", "orders.training.train", "log.jsonl")
    finally:
        path.write_text(text)
    assert "with a label (all of them 1.0)" in told
    assert "was fitted on labels that are all 1.0: it cannot tell anything apart." in told


def test_a_log_of_values_alone_is_told_what_a_line_holds(project: Path) -> None:
    """The topic is what is missing."""
    (project / "values.jsonl").write_text(json.dumps({"order_id": "o1"}) + "\n")
    told = run(project, "-m", "orders.training.train", "values.jsonl")
    assert (
        '\'topic\' is missing; a line is a record of a topic, {"topic": ..., "value": ...}' in told
    )


def test_a_function_that_raises_is_told_once(project: Path) -> None:
    """Though the log and the golden events of a version both run it."""
    run(project, "-W", "ignore", "-m", "orders.training.train", "log.jsonl")
    told = checked(project, VIEWS, '"price", "price",', '"price", lambda e: e.prize,')
    assert told.count("AttributeError 'prize'") == 1
    assert told.count("stream-app check: ") == 1

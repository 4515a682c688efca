"""Calls tasks with values that JSON lacks, and prints what came back as JSON."""

import datetime
import decimal
import json
import sys
import uuid
import warnings

from celery import Celery, chord

from patience import PATIENCE

PARIS = datetime.timezone(datetime.timedelta(hours=1))
VALUES = {
    "moment": datetime.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc),
    "there": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=PARIS),
    "naive": datetime.datetime(2030, 1, 2, 3, 4, 5),
    "day": datetime.date(2028, 2, 29),
    "time": datetime.time(23, 59, 59, 500000),
    "price": decimal.Decimal("-12.50"),
    "id": uuid.UUID("123456789abcdef00123456789abcdef"),
    "text": "ä".encode(),
    "bytes": b"\x00\xff",
    "plain": [1, 2.5, None, {"k": "v"}],
}


def main():
    warnings.simplefilter("ignore")
    broker, backend, task = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    seen = app.send_task(task, args=[VALUES]).get(timeout=PATIENCE)
    told = {name: seen.get(name) == value for name, value in VALUES.items()}
    kinds = [name for name, value in VALUES.items() if type(seen.get(name)) is not type(value)]
    # What the parts of a chord bring goes through the results as well.
    parts = [app.signature(task, args=[VALUES[name]]) for name in ("there", "price", "id")]
    together = chord(parts)(app.signature(task)).get(timeout=PATIENCE)
    told["chord"] = together == [VALUES[name] for name in ("there", "price", "id")]
    print(json.dumps({"same": told, "other kinds": kinds}))


main()

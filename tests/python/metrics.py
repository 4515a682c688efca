"""Reads metrics as Prometheus' own library does, which is strict: prints families as JSON."""

import json
import sys
from urllib.request import urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urlopen(sys.argv[1], timeout=10) as page:
    text = page.read().decode()
families = {
    family.name: {
        "type": family.type,
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
    for family in text_string_to_metric_families(text)
}
print(json.dumps(families))

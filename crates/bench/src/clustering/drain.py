"""Groups the messages of a JSON file with Drain3: its groups, templates and time as JSON.

One setting for every system: values are addresses, hexadecimal and decimal numbers; similarity 0.4,
depth 4. The median of three passes counts, each with a new tree.
"""

import json
import sys
import time

from drain3.drain import Drain
from drain3.masking import LogMasker, MaskingInstruction

MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(:\d+)?)((?=[^A-Za-z0-9])|$)", "*"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-fA-F0-9]+)((?=[^A-Za-z0-9])|$)", "*"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "*"),
]


def one_pass(lines):
    masker = LogMasker([MaskingInstruction(pattern, name) for pattern, name in MASKS], "<", ">")
    drain = Drain(depth=4, sim_th=0.4, max_children=100)
    begun = time.perf_counter()
    clusters = [drain.add_log_message(masker.mask(line))[0] for line in lines]
    return time.perf_counter() - begun, clusters


lines = json.load(open(sys.argv[1], encoding="utf-8"))
passes = [one_pass(lines) for _ in range(3)]
clusters = passes[-1][1]
json.dump(
    {
        "groups": [cluster.cluster_id for cluster in clusters],
        "templates": [cluster.get_template() for cluster in clusters],
        "seconds": sorted(seconds for seconds, _ in passes)[1],
    },
    sys.stdout,
)

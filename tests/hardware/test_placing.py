"""What the tasks share: an episode's placement is its seed's for ever, because recordings and evaluations name seeds only."""

import hashlib
import struct
from importlib import import_module

import pytest

# Some starts in hexadecimal (object's and disc's x and y), and SHA-256 of the first thousand, all coordinates as <f8.
STARTS = {
    "pick_place": {
        0: "0x1.45027f35a3f7cp-2 -0x1.540e2c34f132ep-3 0x1.95e71afa699b6p-3 -0x1.bbca4fd2708abp-3",
        7: "0x1.42945d7db746cp-2 -0x1.4c3eb252a9478p-5 0x1.616ba14238fe9p-2 -0x1.6650acafa04bfp-3",
        2**63: "0x1.eb5078387f7c8p-3 -0x1.650f6e31b49cdp-3 0x1.20694b7300ee6p-2 -0x1.6f2163f562e14p-5",
    },
    "shelf_to_table": {
        0: "0x1.9d8fff3146268p+0 -0x1.792e736320f47p-5 0x1.397e5832627b9p-1 0x1.70b980cb524e2p+0",
        7: "0x1.9d70e3e813ea7p+0 0x1.4565c58efd47cp-4 0x1.aa58670625a03p-1 0x1.71cb06088e822p+0",
        2**63: "0x1.9f59216f805d1p+0 0x1.3c0e55f839928p-6 0x1.b890893f53ad8p-1 0x1.72d10f967dea8p+0",
    },
}
THOUSAND = {
    "pick_place": "0dce478fac65ff3bdfd64948b2265e5ce0e2ca56a2c34e233357f767ae00f690",
    "shelf_to_table": "2b6c3d183028fd03881181c0ecc2a3dbdeba6eabb89fda40eb29ee686024afd2",
}


@pytest.mark.parametrize("name", STARTS)
def test_placements_are_bit_for_bit_those_of_their_seeds(name):
    sample = import_module(f"telerig.hardware.worlds.{name}").sample
    for seed, start in STARTS[name].items():
        found = sample(seed)
        assert " ".join(v.hex() for v in (*found.object[:2], *found.target[:2])) == start
    digest = hashlib.sha256()
    for seed in range(1000):
        found = sample(seed)
        digest.update(struct.pack("<6d", *found.object, *found.target))
    assert digest.hexdigest() == THOUSAND[name]


def test_both_tasks_give_and_judge_the_same_kinds():
    tasks = [import_module(f"telerig.hardware.worlds.{name}") for name in STARTS]
    assert len({type(task.sample(0)) for task in tasks}) == 1
    assert [task.success for task in tasks] == [task.PLACED.is_met for task in tasks]

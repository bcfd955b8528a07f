"""Two processes on gloo train one adapter."""

import os
import subprocess
import sys
from pathlib import Path

from graftwork.testing import toy

# They meet by way of a file: `torchrun` picks a free port first and listens on it later, and
# another program may have taken it by then.
SCRIPT = """
import os
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from graftwork.train import runfile
from graftwork.train.fit import start

store, rank = f"file://{sys.argv[3]}", int(os.environ["RANK"])
dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
made = start(runfile.read(sys.argv[1]), Path(sys.argv[2]))
for _ in made:
    pass
accelerator = made.trainer.session.accelerator
assert accelerator.num_processes == 2
mine = torch.cat([p.detach().flatten() for p in made.trainer.parameters])
both = accelerator.gather(mine[None])
assert torch.equal(both[0], both[1]), "the processes drifted apart"
accelerator.end_training()
os._exit(0)  # gloo's threads now and then abort an interpreter that shuts down
"""


def test_two_processes_agree(path: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SCRIPT)
    paths = [str(toy.install(tmp_path / "plugins")), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",  # accelerate asks for it and the group does not
    }
    names = ("main.py", "toy.toml", "run", "store")
    started = [
        subprocess.Popen(
            [sys.executable, *(str(tmp_path / name) for name in names)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in started:
            _, complaints = process.communicate(timeout=300)
            assert process.returncode == 0, complaints[-4000:]
    finally:
        for process in started:
            process.kill()
    assert (tmp_path / "run" / "adapter" / "adapter.json").is_file()

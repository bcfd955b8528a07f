"""Two processes on gloo train one adapter."""

import os
import subprocess
import sys
from pathlib import Path

from graftwork.testing import toy

SCRIPT = """
import faulthandler
import os
import sys
from pathlib import Path
import torch
from graftwork.train import runfile
from graftwork.train.digest import digest
from graftwork.train.fit import start

faulthandler.dump_traceback_later(200, exit=True)  # a hang says where
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
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(tmp_path / "main.py"), str(path), str(tmp_path / "run")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]
    assert (tmp_path / "run" / "adapter" / "adapter.json").is_file()

"""A quick run that has all parts but one: python -m tests.fakes.resumed_quick_run NAME FOLDER.

`MEASURED` is the folder of a finished one, and `MISSING` the name of the part to measure.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from align_core.experiments import quick_process

if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    shutil.copytree(Path(os.environ["MEASURED"]) / "parts", folder / "parts")
    (folder / "parts" / f"{os.environ['MISSING']}.json").unlink()
    sys.exit(quick_process.main(name, folder))

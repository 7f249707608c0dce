"""tinysegnet doctor."""

import json
from typing import Any

from .options import Json


def run(*, as_json: Json = False) -> int:
    """Show what this installation runs on: versions, processor, threads, BLAS, and the cache of compiled kernels."""
    from ..training.run_folder import environment

    facts = {**environment(), "BLAS": _blas(), **_kernel_cache()}
    print(json.dumps(facts) if as_json else "\n".join(f"{name:<16} {fact}" for name, fact in facts.items()))
    return 0


def _blas() -> str:
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    texts = [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads" for pool in pools]
    return ", ".join(texts) or "unknown"


def _kernel_cache() -> dict[str, Any]:
    folder = runtime.cache_folder()
    if folder is None:
        return {"kernel cache": "none: no writable folder, so every process compiles the kernels again"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return {"kernel cache": str(folder), "cached": f"{len(files)} files, {megabytes:.1f} MB"}

"""tinysegnet doctor."""

import json
from typing import Any

from .options import Json


def run(*, clear_cache: bool = False, as_json: Json = False) -> int:
    """Show the versions, processor, threads and BLAS of this installation, and its cache of compiled kernels.

    Outside the folders that you name, tinysegnet writes only this cache. --clear-cache removes it, and the next use of
    a network compiles the kernels again.

    Args:
        clear_cache: Remove all compiled kernels, and show nothing else.
    """
    from ..runtime import kernel_cache

    files = kernel_cache.cached_files()
    size = f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
    if clear_cache:
        facts: dict[str, Any] = {"removed": size, "from": str(kernel_cache.user_cache())}
        kernel_cache.clear_cache()
    else:
        from ..training.run_folder import environment

        facts = {**environment(), "BLAS": _blas()}
        if kernel_cache.cache_folder() is None:
            facts["kernel cache"] = "none, because no folder is writable; every process compiles the kernels again"
        else:
            facts["kernel cache"] = str(kernel_cache.user_cache())
            facts["cached"] = f"{size}; remove them with tinysegnet doctor --clear-cache"
    print(json.dumps(facts) if as_json else "\n".join(f"{name:<16} {fact}" for name, fact in facts.items()))
    return 0


def _blas() -> str:
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    texts = [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads" for pool in pools]
    return ", ".join(texts) or "unknown"

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

    if clear_cache:
        facts = {"removed": _size(), "from": str(kernel_cache.user_cache())}
        kernel_cache.clear_cache()
    else:
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
    from ..runtime import kernel_cache

    if kernel_cache.cache_folder() is None:
        return {"kernel cache": "none, because no folder is writable; every process compiles the kernels again"}
    return {"kernel cache": str(kernel_cache.user_cache()),
            "cached": f"{_size()}; remove them with tinysegnet doctor --clear-cache"}  # fmt: skip


def _size() -> str:
    from ..runtime.kernel_cache import cached_files

    files = cached_files()
    return f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"

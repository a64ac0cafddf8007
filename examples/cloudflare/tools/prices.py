"""What repairs cost. The standard library alone: it runs in a Worker."""

_EUROS = {"flat tyre": 12, "brakes": 25, "chain": 18}


async def price(repair: str) -> str:
    """What a repair costs.

    Args:
        repair: flat tyre, brakes or chain
    """
    euros = _EUROS.get(repair.lower())
    return f"{euros} euros" if euros else f"we tell for {repair} when we have seen it"

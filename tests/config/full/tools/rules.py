def unkind(args: object) -> bool:
    return False

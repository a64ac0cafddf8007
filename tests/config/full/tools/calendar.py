def find_slots(day: str) -> list[str]:
    return [f"{day} 9:00"]

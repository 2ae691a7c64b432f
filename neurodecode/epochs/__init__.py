"""Windows around events: cut, checked, dropped where asked. Repair belongs to artifacts/."""

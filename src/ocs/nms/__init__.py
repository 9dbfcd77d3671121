"""What operators watch: metrics (elements, alarms and capacity have their place here)."""

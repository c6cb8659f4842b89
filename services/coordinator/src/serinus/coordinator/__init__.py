"""The coordinator: lets releases pass in waves, over services, regions and clusters."""

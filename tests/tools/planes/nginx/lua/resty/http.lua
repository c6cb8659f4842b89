-- Loaded always, not used by what is tested.
return {}

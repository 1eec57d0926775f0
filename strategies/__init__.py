"""The strategies that Hestia ships: one small file each."""

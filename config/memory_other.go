//go:build !linux

package config

// memoryOnly is false where there is no tmpfs to ask about.
func memoryOnly(string) bool { return false }

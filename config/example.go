package config

import _ "embed"

//go:embed example.yaml
var example string

// Example is a configuration that explains every key and shows its default. It
// loads once the secrets and the rule file it names are there.
func Example() string { return example }

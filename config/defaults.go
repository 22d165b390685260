package config

import (
	"reflect"
	"time"

	"github.com/matomo-scim/bridge/config/certificate"
	"github.com/matomo-scim/bridge/config/source"
)

// Every default of the file stands here. example.yaml shows the same values,
// and a test compares the two.

// defaults is a Config before the file is laid over it.
func defaults() *Config {
	return &Config{
		Listen:   Listen{SCIM: ":8080", Metrics: "127.0.0.1:9464", WrongTokensPerMinute: 120, TLS: certificate.Keys{ACMEDir: "acme"}},
		SCIM:     SCIM{MaxBody: 1 << 20, MaxOperations: 1000, MaxPage: 1000, MaxFilter: 4096, Cursors: true},
		Log:      Log{Format: LogAuto, Level: LevelInfo},
		Database: Database{URL: sqliteScheme + "bridge.db"},
		Mapping: Mapping{
			LoginFrom: LoginFromUserName,
			EmailFrom: []EmailFrom{EmailFromPrimary, EmailFromWork, EmailFromUserName},
		},
		Guards:    Guards{MaxSuperusers: 3, MinSuperusers: 1},
		Reconcile: Reconcile{Settle: 10 * time.Second, FullCompare: 15 * time.Minute},
		Audit:     Audit{Every: time.Hour},
	}
}

// defaultSource is a list entry of sources before its keys are read.
func defaultSource() Source {
	return Source{
		Type: SourceSCIM, Profile: ProfileGeneric, Lifecycle: true,
		JWT:     source.Default(),
		Journal: source.DefaultJournal(),
	}
}

// defaultTarget is a list entry of targets before its keys are read. Nothing is
// written to Matomo until an admin asks for it.
func defaultTarget() Target {
	return Target{
		Mode:              ModeObserve,
		Manage:            ManageExclusive,
		RequestsPerMinute: 100, // the usual limit of Matomo Cloud
		SignIn:            SignInSSO,
		Tokens: Tokens{
			Strategy: TokensAuto,
			On:       []TokenEvent{TokensOnDeprovision, TokensOnRoleChange},
			Database: TokenDatabase{TLS: TokenTLSAuto, Action: TokenDBDelete},
		},
		Leavers: Leavers{
			OnInactive:        InactiveSuspend,
			OnUnmapped:        UnmappedRemoveAccess,
			Tokens:            LeaverTokensInert,
			DeleteAfter:       30 * 24 * time.Hour,
			RandomisePassword: true,
		},
	}
}

// newElement is a list entry of type t with its defaults.
func newElement(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch p := v.Addr().Interface().(type) {
	case *Source:
		*p = defaultSource()
	case *Target:
		*p = defaultTarget()
	}
	return v
}

// fillDependent sets the defaults that depend on what the file said. A list
// that the file gave, even an empty one, is not nil and stays.
func (c *Config) fillDependent() {
	if c.Sources == nil {
		s := defaultSource()
		s.Name = "scim"
		c.Sources = []Source{s}
	}
	for i := range c.Sources {
		c.Sources[i].JWT.Fill()
	}
	if c.Guards.SuperuserSources == nil && len(c.Sources) == 1 {
		c.Guards.SuperuserSources = []string{c.Sources[0].Name}
	}
	if c.Mapping.DefaultTarget == "" && len(c.Targets) == 1 {
		c.Mapping.DefaultTarget = c.Targets[0].Name
	}
}

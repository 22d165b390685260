package model

import (
	"slices"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Segment is a saved segment.
type Segment struct {
	ID               int
	Name, Definition string
	Login            string // the owner
	Site             int
	Shared           bool // with everybody
	AutoArchive      bool
	Created          time.Time
}

// Annotation is a note on a day of a site.
type Annotation struct {
	Site, ID          int // the ID counts from 0 per site
	Date, Note, Login string
	Starred           bool
}

// Report is a scheduled report: Matomo mails it to its owner, if EmailMe is
// set, and to AdditionalEmails.
type Report struct {
	ID               int // given by AddReport
	Site             int
	Login            string // the owner
	Description      string
	Period           string // day, week, month or never
	Hour             int
	Type, Format     string // such as "email" and "html"
	Reports          []string
	EmailMe          bool
	DisplayFormat    string
	AdditionalEmails []string
	Created          time.Time
}

// AddReport schedules a report and returns its ID.
func (in *Instance) AddReport(r Report) int {
	in.reports++
	r.ID = in.reports
	if r.Created.IsZero() {
		r.Created = Now()
	}
	in.Reports = append(in.Reports, &r)
	return r.ID
}

// DeleteReports deletes a person's reports on some sites, on all if none is
// named.
func (in *Instance) DeleteReports(login string, sites ...int) {
	in.Reports = slices.DeleteFunc(in.Reports, func(r *Report) bool {
		return php.SameText(r.Login, login) && (len(sites) == 0 || slices.Contains(sites, r.Site))
	})
}

// SetPreference stores a preference of a login, which need not exist.
func (in *Instance) SetPreference(login, name, value string) {
	key := php.Fold(login)
	if in.Preferences[key] == nil {
		in.Preferences[key] = map[string]string{}
	}
	in.Preferences[key][name] = value
}

// Preference returns a preference and whether there is one.
func (in *Instance) Preference(login, name string) (string, bool) {
	value, ok := in.Preferences[php.Fold(login)][name]
	return value, ok
}

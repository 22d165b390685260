package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// store shows when the database was last saved, and whether it was put back.
type store struct {
	lastBackup         func() time.Time
	restored           float64
	backup, unreviewed *prometheus.Desc
}

// The two belong together: what was never saved cannot be put back, and what was put back is
// not to be trusted before somebody has looked.

// NewStore returns the collector of backups. lastBackup is zero when none was made with the
// backup command; then nothing is shown, because PostgreSQL is saved by other means.
func NewStore(lastBackup func() time.Time, restored bool) prometheus.Collector {
	s := &store{
		lastBackup: lastBackup,
		backup:     prometheus.NewDesc(prefix+"store_last_backup_timestamp_seconds", "When the backup command last saved this database; absent when it never did.", nil, nil),
		unreviewed: prometheus.NewDesc(prefix+"store_restore_unconfirmed", "1 while nothing is written to Matomo because the database was restored and nobody has confirmed the plan, else 0.", nil, nil),
	}
	if restored {
		s.restored = 1
	}
	return s
}

// Describe implements prometheus.Collector.
func (s *store) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.backup
	ch <- s.unreviewed
}

// Collect implements prometheus.Collector.
func (s *store) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(s.unreviewed, prometheus.GaugeValue, s.restored)
	if at := s.lastBackup(); !at.IsZero() {
		ch <- prometheus.MustNewConstMetric(s.backup, prometheus.GaugeValue, seconds(&at))
	}
}

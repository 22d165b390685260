package deploy

import (
	"cmp"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// picture makes TestDashboards_Live draw docs/dashboard.svg: make dashboard-picture.
var picture = flag.Bool("picture", false, "draw docs/dashboard.svg from the data of the test")

// The picture shows what the dashboard asks and what Prometheus answered, drawn by
// ourselves: no browser, and no Grafana, is needed to see whether panels say something.

const (
	cell   = 52 // pixels of a column of the grid
	height = 26 // pixels of a row of the grid
	gap    = 5
)

// colours of lines, told apart by everybody.
var colours = []string{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#994400", "#009988"}

// named are Grafana's names for the colours of thresholds.
var named = map[string]string{"green": "#2b7a3d", "orange": "#c77700", "red": "#b3261e", "blue": "#2f5d8a", "transparent": "#2b2f36"}

// draw writes the dashboard as one SVG.
func (w *world) draw(d dashboard, path string) {
	w.t.Helper()
	bottom := 0
	var b strings.Builder
	for _, p := range d.Panels {
		bottom = max(bottom, (p.GridPos.Y+p.GridPos.H)*height)
		x, y, width, high := p.GridPos.X*cell, p.GridPos.Y*height+40, p.GridPos.W*cell-gap, p.GridPos.H*height-gap
		if p.Type == "row" {
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="row">%s</text>`+"\n", x+2, y+18, html.EscapeString(p.Title))
			continue
		}
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)"><rect width="%d" height="%d" rx="3" class="panel"/><text x="8" y="17" class="title">%s</text>`,
			x, y, width, high, html.EscapeString(p.Title))
		w.drawPanel(&b, p, width, high)
		b.WriteString("</g>\n")
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">
<style>.panel{fill:#1d2127}.title{fill:#d5d9e0;font-size:12px;font-weight:bold}.row{fill:#fff;font-size:15px;font-weight:bold}.small{fill:#9aa3ae;font-size:10px}.value{fill:#fff;font-weight:bold}.none{fill:#9aa3ae;font-size:12px}</style>
<rect width="100%%" height="100%%" fill="#111418"/><text x="2" y="25" class="row" font-size="20">%s</text>
`, 24*cell, bottom+46, html.EscapeString(d.Title))
	if err := os.WriteFile(path, []byte(head+b.String()+"</svg>\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// drawPanel draws the answers of one panel into a frame.
func (w *world) drawPanel(b *strings.Builder, p panel, width, high int) {
	var lines []line
	for i, q := range p.Targets {
		got := w.queryRange(resolve(q.Expr))
		if q.Instant {
			got = w.query(resolve(q.Expr))
		}
		for _, l := range got {
			l.labels["\x00"] = legend(p.Targets[i].LegendFormat, l.labels)
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.labels["\x00"], b.labels["\x00"]) })
	switch {
	case len(lines) == 0:
		fmt.Fprintf(b, `<text x="8" y="%d" class="none">nothing happened</text>`, high/2)
	case p.Type == "stat":
		drawStat(b, p, lines, width, high)
	case p.Type == "table":
		for i, l := range lines[:min(len(lines), (high-30)/15)] {
			var cells []string
			for _, k := range slices.Sorted(keysOf(l.labels)) {
				if k != "\x00" && k != "__name__" {
					cells = append(cells, k+"="+l.labels[k])
				}
			}
			fmt.Fprintf(b, `<text x="8" y="%d" class="small">%s</text>`, 38+15*i, html.EscapeString(strings.Join(cells, "  ")+"  "+shown(l.points[0].value, p.FieldConfig.Defaults.Unit)))
		}
	default:
		w.drawLines(b, p, lines, width, high)
	}
}

// drawStat draws one number for each series, on the colour of its threshold.
func drawStat(b *strings.Builder, p panel, lines []line, width, high int) {
	each := (width - 12) / len(lines)
	for i, l := range lines {
		v := l.points[len(l.points)-1].value
		colour := "#2b2f36"
		for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
			if s.Value == nil || v >= *s.Value {
				colour = named[s.Color]
			}
		}
		text := shown(v, p.FieldConfig.Defaults.Unit)
		for _, m := range p.FieldConfig.Defaults.Mappings {
			if o, ok := m.Options[strconv.FormatFloat(v, 'g', -1, 64)]; ok {
				text = o.Text
			}
		}
		fmt.Fprintf(b, `<rect x="%d" y="24" width="%d" height="%d" rx="2" fill="%s"/><text x="%d" y="%d" class="value" font-size="22" text-anchor="middle">%s</text><text x="%d" y="%d" class="value" font-size="10" text-anchor="middle">%s</text>`,
			6+i*each, each-3, high-30, colour, 6+i*each+each/2, high/2+18, html.EscapeString(text), 6+i*each+each/2, high-10, html.EscapeString(l.labels["\x00"]))
	}
}

// drawLines draws series over the time of the test.
func (w *world) drawLines(b *strings.Builder, p panel, lines []line, width, high int) {
	const left, top = 60, 26
	right, bottom := width-8, high-34
	low, top2 := 0.0, 0.0
	first, last := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, pt := range l.points {
			low, top2 = min(low, pt.value), max(top2, pt.value)
			first, last = min(first, pt.at), max(last, pt.at)
		}
	}
	if top2 == low {
		top2 = low + 1
	}
	last = max(last, first+1)
	for _, v := range []float64{low, (low + top2) / 2, top2} {
		y := float64(bottom) - (v-low)/(top2-low)*float64(bottom-top)
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#2b2f36"/><text x="%d" y="%.1f" class="small" text-anchor="end">%s</text>`, left, y, right, left-4, y+3, shown(v, p.FieldConfig.Defaults.Unit))
	}
	x := left
	for i, l := range lines {
		var path strings.Builder
		previous := math.Inf(-1)
		for _, pt := range l.points {
			step := "L"
			if pt.at-previous > 3 {
				step = "M" // a gap is a gap
			}
			previous = pt.at
			fmt.Fprintf(&path, "%s%.1f %.1f", step, float64(left)+(pt.at-first)/(last-first)*float64(right-left), float64(bottom)-(pt.value-low)/(top2-low)*float64(bottom-top))
		}
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, path.String(), colour)
		name := l.labels["\x00"]
		if need := 14 + 6*len(name); x+need < right {
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="8" height="8" fill="%s"/><text x="%d" y="%d" class="small">%s</text>`, x, high-20, colour, x+11, high-12, html.EscapeString(name))
			x += need + 8
		}
	}
}

// legend fills in a format such as "{{target}} p99".
func legend(format string, labels map[string]string) string {
	return regexp.MustCompile(`{{(\w+)}}`).ReplaceAllStringFunc(format, func(m string) string { return labels[strings.Trim(m, "{}")] })
}

// keysOf goes through the names of labels.
func keysOf(labels map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range labels {
			if !yield(k) {
				return
			}
		}
	}
}

// shown is a value with its unit, short.
func shown(v float64, unit string) string {
	number := strconv.FormatFloat(v, 'g', 3, 64)
	if math.Abs(v) >= 1000 {
		number = strconv.FormatFloat(v, 'f', 0, 64)
	}
	switch unit {
	case "s":
		return number + " s"
	case "percentunit":
		return strconv.FormatFloat(100*v, 'g', 3, 64) + " %"
	case "bytes":
		return strconv.FormatFloat(v/(1<<20), 'f', 0, 64) + " MiB"
	case "dateTimeFromNow":
		if v == 0 {
			return "never"
		}
		return time.UnixMilli(int64(v)).UTC().Format(time.DateOnly)
	}
	return number
}

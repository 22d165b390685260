package bulk

import (
	"slices"
	"strings"
)

// step is one thing to do for an operation.
type step struct {
	op   int
	what action
	// keys are the members of the data that have to wait (begin), or that have waited (finish).
	keys []string
}

// action is what a step does.
type action int

const (
	// whole carries out an operation.
	whole action = iota
	// begin creates a resource without what closes a circle.
	begin
	// finish adds what was left out.
	finish
	// refuse gives up an operation whose circle cannot be opened.
	refuse
)

// planner finds the order. An operation waits for those that its data refer to until they are there, for the one that
// its path refers to until it is finished, and for earlier ones on the same path until they have run.
type planner struct {
	ops   []Operation
	by    map[string]int // operation by bulkId
	prior []int          // the operation before on the same path, or -1

	there, done []bool // the resource exists; the operation has run in full
	waiting     [][]string
	steps       []step
}

// plan gives the steps in order. Each operation has one step, or begin and finish.
func plan(ops []Operation) []step {
	n := len(ops)
	p := &planner{
		ops: ops, by: map[string]int{}, prior: make([]int, n),
		there: make([]bool, n), done: make([]bool, n), waiting: make([][]string, n),
	}
	last := map[string]int{}
	for i := range ops {
		// Of several with one bulkId none can be meant: they fail, and so does who refers to them.
		if ops[i].BulkID != "" {
			p.by[ops[i].BulkID] = i
		}
		p.prior[i] = -1
		if path := strings.TrimSuffix(ops[i].Path, "/"); ops[i].target != "" {
			if before, ok := last[path]; ok {
				p.prior[i] = before
			}
			last[path] = i
		}
	}
	for p.next() {
		p.finishReady()
	}
	return p.steps
}

// next plans one more operation and reports false when there is none left. The first in the client's order that waits
// for nothing comes next.
func (p *planner) next() bool {
	left, late := -1, -1
	for i := range p.ops {
		if p.there[i] {
			continue
		}
		if left < 0 {
			left = i
		}
		switch blocked := p.blocker(i) >= 0; {
		case !blocked && (p.prior[i] < 0 || p.there[p.prior[i]]):
			p.run(i, whole, nil)
			return true
		case !blocked && late < 0:
			late = i
		}
	}
	switch {
	case left < 0:
		return false
	case late >= 0: // the order on a path is given up before a reference is
		p.run(late, whole, nil)
	default:
		p.open(p.circle(left))
	}
	return true
}

// run plans an operation.
func (p *planner) run(i int, what action, keys []string) {
	p.steps = append(p.steps, step{op: i, what: what, keys: keys})
	p.there[i], p.done[i], p.waiting[i] = true, what != begin, keys
}

// blocker is an operation that operation i has to wait for, or -1. One that fails in itself needs nothing.
func (p *planner) blocker(i int) int {
	for _, n := range p.ops[i].needs {
		if j, ok := p.by[n.bulkID]; ok && (!p.there[j] || n.key == "" && !p.done[j]) {
			return j
		}
	}
	return -1
}

// circle follows the references from operation i until it comes round, and returns the operations of the circle.
func (p *planner) circle(i int) []int {
	var way []int
	for at := map[int]int{}; ; {
		if start, seen := at[i]; seen {
			return way[start:]
		}
		at[i] = len(way)
		way = append(way, i)
		i = p.blocker(i)
	}
}

// open begins the first operation of a circle that can do without what closes it for a while. Where none can, the
// circle is refused as a whole: whatever order they ran in, one of them would name what is not there.
func (p *planner) open(circle []int) {
	slices.Sort(circle)
	for _, i := range circle {
		if keys, ok := p.postponed(i); ok && !p.there[i] {
			p.run(i, begin, keys)
			return
		}
	}
	for _, i := range circle {
		if !p.there[i] {
			p.run(i, refuse, nil)
		}
	}
}

// postponed lists the members of the data of operation i that refer to what is not there yet. ok is false when one of
// them is required, or when the operation creates nothing.
func (p *planner) postponed(i int) (keys []string, ok bool) {
	op := &p.ops[i]
	if op.Method != post {
		return nil, false
	}
	for _, n := range op.needs {
		if j, known := p.by[n.bulkID]; !known || p.there[j] && n.key != "" {
			continue
		}
		ref, known := op.kind.LookupName(n.key)
		if n.key == "" || known && ref.Attr != nil && ref.Attr.Required {
			return nil, false
		}
		if !slices.Contains(keys, n.key) {
			keys = append(keys, n.key)
		}
	}
	return keys, true
}

// finishReady plans what was left out as soon as everything it refers to is there.
func (p *planner) finishReady() {
	for i := range p.ops {
		if p.there[i] && !p.done[i] && p.blocker(i) < 0 {
			p.steps = append(p.steps, step{op: i, what: finish, keys: p.waiting[i]})
			p.done[i] = true
		}
	}
}

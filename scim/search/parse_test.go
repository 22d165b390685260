package search

import "testing"

// FuzzParse takes apart what another release might have sealed: nonsense is noticed, and nothing panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 1, 9, 2, 'i', 'd', 'k'})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, plain []byte) {
		_, m, ok := parse(plain)
		if ok != (m != nil) || ok && (len(m.ID)+len(m.Key.Text) > len(plain) || m.Total < -1) {
			t.Fatalf("%v: %+v, %v", plain, m, ok)
		}
	})
}

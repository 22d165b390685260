package search

import "testing"

// FuzzParse takes apart what another release might have sealed: nonsense is noticed, and nothing panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 'i', 'd', 'k'})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, plain []byte) {
		_, p, ok := parse(plain)
		if ok != (p != nil) || ok && len(p.ID)+len(p.Key.Text) > len(plain) {
			t.Fatalf("%v: %+v, %v", plain, p, ok)
		}
	})
}

package core

import (
	"reflect"
	"testing"
	"time"
)

// fillNumbers sets every number of a struct, nested ones included, to another value.
func fillNumbers(v reflect.Value, next *uint64) {
	switch v.Kind() { //nolint:exhaustive // the default tells of the others
	case reflect.Struct:
		for _, field := range v.Fields() {
			fillNumbers(field, next)
		}
	case reflect.Array:
		for i := range v.Len() {
			fillNumbers(v.Index(i), next)
		}
	case reflect.Uint64:
		*next += 1 << 33
		v.SetUint(*next)
	case reflect.Int64:
		*next += 1 << 33
		v.SetInt(int64(*next))
	default:
		panic("a kind that past does not know: " + v.Kind().String())
	}
}

func fullPast() past {
	p := past{started: time.Now()}
	n := uint64(1)
	fillNumbers(reflect.ValueOf(&p.totals).Elem(), &n)
	fillNumbers(reflect.ValueOf(&p.probes).Elem(), &n)
	fillNumbers(reflect.ValueOf(&p.times).Elem(), &n)
	for i := range p.changes {
		n++
		p.changes[i] = n
	}
	return p
}

// Every number of a past comes back, also of a field that was added later.
func TestPastIsKeptWhole(t *testing.T) {
	p := fullPast()
	lengths := new([2]durationCounts)
	lengths[0][0], lengths[0][durationBuckets-1], lengths[1][7], lengths[1][8] = 1, 1<<40, 3, 4
	for _, p.durations = range []*[2]durationCounts{nil, lengths, {}} {
		if got := unpack(p.started, string(p.pack(nil))); !reflect.DeepEqual(*got, p) {
			t.Errorf("%+v, want %+v", *got, p)
		}
	}
	none := past{started: p.started}
	if got := none.pack(nil); len(got) != 1 {
		t.Errorf("a past of nothing takes %d B, want 1", len(got))
	}
}

// Sums and differences of Totals know every field.
func TestTotalsAddKnowsEveryField(t *testing.T) {
	p := fullPast()
	twice := p.totals
	twice.add(p.totals)
	v, once := reflect.ValueOf(twice), reflect.ValueOf(p.totals)
	for i := range v.NumField() {
		if got, want := v.Field(i).Convert(reflect.TypeFor[uint64]()).Uint(), 2*once.Field(i).Convert(reflect.TypeFor[uint64]()).Uint(); got != want {
			t.Errorf("%s is %d, want %d", v.Type().Field(i).Name, got, want)
		}
	}
	if twice.subtract(p.totals); twice != p.totals {
		t.Errorf("%+v, want %+v", twice, p.totals)
	}
	sum := p
	(&p).addTo(&sum)
	for _, c := range [][2]any{{sum.probes, p.probes}, {sum.times, p.times}} {
		sum, once := reflect.ValueOf(c[0]), reflect.ValueOf(c[1])
		for i := range sum.NumField() {
			if got, want := sum.Field(i).Convert(reflect.TypeFor[uint64]()).Uint(), 2*once.Field(i).Convert(reflect.TypeFor[uint64]()).Uint(); got != want {
				t.Errorf("%s is %d, want %d", sum.Type().Field(i).Name, got, want)
			}
		}
	}
}

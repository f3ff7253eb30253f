package render

import (
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// objects are the objects of all units. The map shares with that of the last
// rendering what did not change.
type objects struct {
	plumbline.Objects
	// fresh are those of the first rendering, which all come at once.
	fresh []*plumbline.Object
	// twice are objects whose Ref another unit's object has: an error of the
	// definitions, as long as it lasts.
	twice map[plumbline.Ref][]*plumbline.Object
}

func (s *objects) add(o *plumbline.Object) {
	if s.Len() == 0 {
		s.fresh = append(s.fresh, o)
		return
	}
	if _, taken := s.Get(o.Ref); taken {
		if s.twice == nil {
			s.twice = map[plumbline.Ref][]*plumbline.Object{}
		}
		s.twice[o.Ref] = append(s.twice[o.Ref], o)
		return
	}
	s.Objects = s.With(o.Ref, o)
}

func (s *objects) remove(o *plumbline.Object) {
	s.settle()
	others := s.twice[o.Ref]
	if i := slices.Index(others, o); i >= 0 {
		others = slices.Delete(others, i, i+1)
	} else if len(others) > 0 {
		s.Objects, others = s.With(o.Ref, others[0]), others[1:]
	} else {
		s.Objects = s.Without(o.Ref)
	}
	if len(others) > 0 {
		s.twice[o.Ref] = others
	} else {
		delete(s.twice, o.Ref)
	}
}

// replace takes the objects of one unit out and puts those of another in.
func (s *objects) replace(gone, come []*plumbline.Object) {
	for _, o := range gone {
		if !slices.Contains(come, o) {
			s.remove(o)
		}
	}
	for _, o := range come {
		if !slices.Contains(gone, o) {
			s.add(o)
		}
	}
}

// of are all objects with one Ref.
func (s *objects) of(ref plumbline.Ref) []*plumbline.Object {
	held, ok := s.settle().Get(ref)
	if !ok {
		return nil
	}
	return append([]*plumbline.Object{held}, s.twice[ref]...)
}

// settle is all of them as a map.
func (s *objects) settle() plumbline.Objects {
	if len(s.fresh) > 0 {
		fresh := s.fresh
		s.fresh = nil
		s.Objects = plumbline.ObjectsOf(fresh...)
		if s.Len() < len(fresh) {
			s.again(fresh)
		}
	}
	return s.Objects
}

// again takes in one by one what is not all different.
func (s *objects) again(list []*plumbline.Object) {
	for _, o := range list {
		if held, _ := s.Get(o.Ref); held != o {
			s.add(o)
		}
	}
}

package eino

import (
	"cmp"
	"reflect"
	"strconv"
	"strings"
)

// walk calls visit for each value that stands in an any, with its JSON Pointer, and puts the
// replacement in its place unless that is nil. It goes on within the value unless visit says
// stop. It reports whether v itself was replaced.
func walk(v reflect.Value, at string, visit func(at string, value any) (replacement any, stop bool)) (replaced bool) {
	switch v.Kind() {
	case reflect.Interface:
		replacement, stop := visit(at, v.Interface())
		if !stop {
			walk(v.Elem(), at, visit)
		}
		if replacement == nil {
			return false
		}
		v.Set(reflect.ValueOf(replacement))
		return true
	case reflect.Pointer:
		walk(v.Elem(), at, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), at+member(v.Type().Field(i)), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), at+"/"+strconv.Itoa(i), visit)
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			slot := reflect.New(value.Type()).Elem() // what a map holds cannot be set in place
			slot.Set(value)
			if walk(slot, at+pointer(key.String()), visit) {
				v.SetMapIndex(key, slot)
			}
		}
	}
	return false
}

// difference returns the JSON Pointer to the first thing in which two values differ. Empty
// lists and maps are equal to absent ones.
func difference(a, b reflect.Value, at string) (where string, differ bool) {
	if empty(a) && empty(b) {
		return "", false
	}
	if !a.IsValid() || !b.IsValid() || a.Type() != b.Type() {
		return at, true
	}
	switch kind := a.Kind(); {
	case kind == reflect.Interface || kind == reflect.Pointer && !a.IsNil() && !b.IsNil():
		return difference(a.Elem(), b.Elem(), at)
	case kind == reflect.Struct && exported(a.Type()):
		for i := range a.NumField() {
			if where, differ := difference(a.Field(i), b.Field(i), at+member(a.Type().Field(i))); differ {
				return where, true
			}
		}
		return "", false
	case kind == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			if where, differ := difference(a.Index(i), b.Index(i), at+"/"+strconv.Itoa(i)); differ {
				return where, true
			}
		}
		return "", false
	case kind == reflect.Map && a.Len() == b.Len():
		for key, value := range a.Seq2() {
			if where, differ := difference(value, b.MapIndex(key), at+pointer(key.String())); differ {
				return where, true
			}
		}
		return "", false
	}
	return at, !reflect.DeepEqual(a.Interface(), b.Interface())
}

func empty(v reflect.Value) bool {
	return !v.IsValid() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// exported reports whether all fields of a struct can be looked at.
func exported(t reflect.Type) bool {
	for field := range t.Fields() {
		if !field.IsExported() {
			return false
		}
	}
	return true
}

// member returns the step of a JSON Pointer to a struct's field: none to what is embedded.
func member(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if f.Anonymous && name == "" {
		return ""
	}
	return pointer(cmp.Or(name, f.Name))
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the step of a JSON Pointer to a key.
func pointer(key string) string { return "/" + escape.Replace(key) }

// A step is what a value refers to.
type step struct {
	to  uintptr
	len int
	is  reflect.Type
}

// circular reports whether a value refers to itself: gob would follow it until the process
// dies. JSON refuses most of these, but not what it leaves out. On the way are all steps to v.
func circular(v reflect.Value, way map[step]bool) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		at := step{to: v.Pointer(), is: v.Type()}
		if v.Kind() == reflect.Slice {
			at.len = v.Len()
			if kind := v.Type().Elem().Kind(); kind <= reflect.Complex128 || kind == reflect.String {
				return false
			}
		}
		if v.IsNil() || way[at] {
			return way[at]
		}
		way[at] = true
		defer delete(way, at)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return circular(v.Elem(), way)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && circular(v.Field(i), way) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if circular(v.Index(i), way) {
				return true
			}
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			if circular(value, way) {
				return true
			}
		}
	}
	return false
}

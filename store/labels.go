package store

import "strconv"

// How many labels a runtime may have, and how many bytes the key or the value of one.
const (
	MaxLabels     = 16
	MaxLabelBytes = 128
)

// ValidateLabels returns a *ValueError if there are more than MaxLabels, or one has no key,
// is longer than MaxLabelBytes or not valid UTF-8.
func ValidateLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return &ValueError{Field: "labels", Reason: "more than " + strconv.Itoa(MaxLabels)}
	}
	for key, value := range labels {
		switch {
		case key == "":
			return &ValueError{Field: "labels", Reason: "a key is empty"}
		case len(key) > MaxLabelBytes || len(value) > MaxLabelBytes:
			return &ValueError{Field: "labels", Reason: "a key or a value has more than " + strconv.Itoa(MaxLabelBytes) + " bytes"}
		}
		for _, text := range []string{key, value} {
			if err := validUTF8(text); err != nil {
				return InField("labels", err)
			}
		}
	}
	return nil
}

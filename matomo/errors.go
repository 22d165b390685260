package matomo

// BlockedReason maps a refusal of one person's data to the reason a binding is
// blocked with; "" when err is not of that sort (then it is a failure to
// retry).
func BlockedReason(err error) Reason {
	switch KindOf(err) {
	case DuplicateEmail:
		return EmailTaken
	case DuplicateLogin:
		return LoginTaken
	case NeedsPassword:
		return PasswordNeeded
	case Validation:
		return ValueRefused
	default:
		return ""
	}
}

package matomo

// PlanPerson plans joiners, movers and come-backs.
func PlanPerson(want Want, have Account, pol Policy) Plan { return Plan{Login: want.Login} }

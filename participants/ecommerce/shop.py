"""The shop as a participant among the others: the routes of all of its pages, and its own small book."""

from participants.ecommerce import order_page, shelf_page, switches_page
from participants.ecommerce.purchases import balance, barrier, db
from participants.ecommerce.routes import routes
from participants.participant import Participant

#: Importing a page's module is what adds its routes.
PAGES = (shelf_page, order_page, switches_page)

ECOMMERCE = Participant(name="ecommerce", db=db, barrier=barrier, routes=routes, balance=balance)

"""The shop as a participant: the routes of all its pages, and its own table of purchases."""

from participants.ecommerce import order_page, shelf_page, switches_page
from participants.ecommerce.purchases import balance, barrier, db
from participants.ecommerce.routes import routes
from participants.participant import Participant

#: The import of a page's module adds its routes.
PAGES = (shelf_page, order_page, switches_page)

ECOMMERCE = Participant(name="ecommerce", db=db, barrier=barrier, routes=routes, balance=balance)
